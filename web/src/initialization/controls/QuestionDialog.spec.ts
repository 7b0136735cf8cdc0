import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createApi, type StepwayApi } from '@/api/client'
import { ApiError } from '@/api/errors'
import type { Blueprint, Offered, Step } from '@/api/types'
import { API } from '@/api/use-api'
import { anInitialization, aStep, until } from '@/testing/examples'
import InitializationProgress from '@/initialization/InitializationProgress.vue'

const FAILED = aStep({ step: 'ship', display_name: 'Ship', status: 'failed', error: 'No.', optional: true, sequence: 2 })
const OFFERED: Offered = { project: ['retry', 'cancel'], steps: { ship: ['retry', 'skip'] } }
const BLUEPRINT: Blueprint = {
  name: 'web-service',
  title: { en: 'Web service' },
  parameters: { type: 'object', properties: { port: { type: 'integer', title: 'Port' } } },
  steps: [],
}

let api: StepwayApi
let offered: Offered
let steps: Step[]
const calls = { retryStep: vi.fn(), retryAll: vi.fn(), skipStep: vi.fn(), cancel: vi.fn() }

async function open(): Promise<VueWrapper> {
  const props = { projectId: 'p', lang: 'en' }
  const view = mount(InitializationProgress, { props, global: { provide: { [API as symbol]: api } }, attachTo: document.body })
  await until(() => expect(view.find('[data-step=ship]').exists()).toBe(true))
  return view
}

async function press(view: VueWrapper, text: string, within = 'button'): Promise<void> {
  await until(() => expect(view.findAll(within).some((one) => one.text() === text)).toBe(true))
  await view.findAll(within).find((one) => one.text() === text)?.trigger('click')
  await flushPromises()
}

beforeEach(() => {
  Object.values(calls).forEach((call) => call.mockReset().mockResolvedValue(anInitialization()))
  offered = OFFERED
  steps = [aStep({ status: 'completed' }), FAILED]
  api = {
    ...createApi(),
    ...calls,
    initialization: async () => ({ ...anInitialization(3, steps, { status: 'failed' }), controls: offered }),
    estimate: async () => ({ p50_ms: null, p95_ms: null, samples: 0 }),
    previewRetry: async () => ({ runs: ['ship'], keeps: ['build'], objects: [{ step: 'build', display_name: 'Build', what: { url: 'https://x.example' } }] }),
    previewRetryOfAll: async () => ({ runs: ['ship', 'build'], keeps: [], objects: [] }),
    previewCancel: async () => ({ rolls_back: ['build'], keeps: ['ship'] }),
    blueprint: async () => BLUEPRINT,
  }
})

describe('controls', () => {
  test('a retry shows what runs and what is kept, and sends nothing else', async () => {
    const view = await open()
    await press(view, 'Retry')
    await until(() => expect(view.find('[role=dialog]').text()).toContain('Will runShip'))
    expect(view.get('[role=dialog]').text()).toContain('KeptBuild')
    await press(view, 'Retry', '[role=dialog] button')
    expect(calls.retryStep).toHaveBeenCalledWith('p', 'ship', undefined)
    expect(view.find('[role=dialog]').exists()).toBe(false)
  })

  test('a retry sends the parameters that were changed', async () => {
    const view = await open()
    await press(view, 'Retry')
    await press(view, 'Edit parameters')
    await view.get('[name=port]').setValue('9090')
    await press(view, 'Retry', '[role=dialog] button')
    expect(calls.retryStep).toHaveBeenCalledWith('p', 'ship', { port: 9090 })
  })

  test('a refused retry says why and stays open', async () => {
    calls.retryStep.mockRejectedValue(new ApiError(409, { detail: 'Somebody else has just retried it.' }))
    const view = await open()
    await press(view, 'Retry')
    await press(view, 'Retry', '[role=dialog] button')
    expect(view.get('[role=dialog] [role=alert]').text()).toBe('Somebody else has just retried it.')
  })

  test('a skip asks for its reason', async () => {
    const view = await open()
    await press(view, 'Skip')
    await until(() => expect(view.find('#stepway-skip').exists()).toBe(true))
    await view.get('#stepway-skip').trigger('submit')
    expect(view.get('[role=dialog]').text()).toContain('Enter a reason')
    expect(calls.skipStep).not.toHaveBeenCalled()
    await view.get('textarea').setValue(' not today ')
    await view.get('#stepway-skip').trigger('submit')
    await flushPromises()
    expect(calls.skipStep).toHaveBeenCalledWith('p', 'ship', 'not today')
  })

  test('a cancel with rollback lists what it rolls back and what stays', async () => {
    const view = await open()
    await press(view, 'Cancel setup')
    await until(() => expect(view.find('[name=undo]').exists()).toBe(true))
    await view.get('[name=undo]').setValue(true)
    await until(() => expect(view.get('[role=dialog]').text()).toContain('Will be rolled backBuild'))
    expect(view.get('[role=dialog]').text()).toContain('Will stayShip')
    await press(view, 'Cancel and roll back')
    expect(calls.cancel).toHaveBeenCalledWith('p', true)
  })

  test('no rollback is offered where no completed step has one', async () => {
    api = { ...api, previewCancel: async () => ({ rolls_back: [], keeps: ['build'] }) }
    const view = await open()
    await press(view, 'Cancel setup')
    await until(() => expect(view.get('[role=dialog]').text()).toContain('No completed step has a rollback'))
    expect(view.find('[name=undo]').exists()).toBe(false)
    await press(view, 'Cancel setup', '[role=dialog] button')
    expect(calls.cancel).toHaveBeenCalledWith('p', false)
  })

  test('a retry of all shows what it runs before it is sent', async () => {
    steps = [{ ...FAILED, step: 'build', display_name: 'Build' }, FAILED]
    offered = { ...OFFERED, steps: { build: ['retry'], ship: ['retry', 'skip'] } }
    const view = await open()
    await press(view, 'Retry failed steps')
    await until(() => expect(view.get('[role=dialog]').text()).toContain('Will runShipBuild'))
    expect(calls.retryAll).not.toHaveBeenCalled()
    await press(view, 'Retry', '[role=dialog] button')
    expect(calls.retryAll).toHaveBeenCalledWith('p')
    expect(view.find('[role=dialog]').exists()).toBe(false)
  })

  test('a retry of the only failed step offers its parameters', async () => {
    const view = await open()
    await press(view, 'Retry failed steps')
    await press(view, 'Edit parameters')
    expect(view.find('[name=port]').exists()).toBe(true)
  })

  test('a retry offers editable parameters only and names the others', async () => {
    const properties = { port: { type: 'integer', title: 'Port' }, region: { type: 'string', title: 'Region' } }
    const blueprint = { ...BLUEPRINT, editable: ['region'], parameters: { type: 'object', properties } }
    api = { ...api, blueprint: async () => blueprint }
    const view = await open()
    await press(view, 'Retry')
    await press(view, 'Edit parameters')
    expect(view.find('[name=region]').exists()).toBe(true)
    expect(view.find('[name=port]').exists()).toBe(false)
    expect(view.get('[role=dialog]').text()).toContain('Cannot be changed after the start: port')
  })

  test('a control that the API does not offer has no button', async () => {
    offered = { project: [], steps: {} }
    const view = await open()
    await flushPromises()
    const texts = view.findAll('button').map((button) => button.text())
    expect(texts).not.toContain('Retry')
    expect(texts).not.toContain('Skip')
    expect(texts).not.toContain('Retry failed steps')
    expect(texts).not.toContain('Cancel setup')
  })
})
