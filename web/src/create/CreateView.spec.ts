import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import { createApi, type StepwayApi } from '@/api/client'
import { ApiError } from '@/api/errors'
import type { Blueprint } from '@/api/types'
import { API } from '@/api/use-api'
import { anInitialization, aProject } from '@/testing/examples'
import { createText, TEXT } from '@/text/text'
import CreateView from './CreateView.vue'

const BLUEPRINT: Blueprint = {
  name: 'web-service',
  title: { en: 'Web service', zh: 'Web 服务' },
  parameters: {
    type: 'object',
    required: ['team'],
    properties: {
      team: { type: 'string', title: 'Team' },
      port: { type: 'integer', title: 'Port', default: 8080, maximum: 65535 },
    },
  },
  steps: [],
}

let api: StepwayApi
const create = vi.fn()

async function open() {
  const blank = { template: '<i />' }
  const router = createRouter({
    history: createMemoryHistory(),
    routes: [
      { path: '/new', component: blank },
      { path: '/projects/:id', name: 'initialization', component: blank },
    ],
  })
  await router.push('/new')
  const provide = { [API as symbol]: api, [TEXT as symbol]: createText('en') }
  const view = mount(CreateView, { global: { plugins: [router], provide }, attachTo: document.body })
  await flushPromises()
  const submit = async () => {
    await view.get('form').trigger('submit')
    await flushPromises()
  }
  return { view, router, submit }
}

const errorOf = (view: Awaited<ReturnType<typeof open>>['view'], name: string) => {
  const described = view.get(`[name=${name}]`).attributes('aria-describedby') ?? ''
  const ids = described.split(' ').filter((id) => id.endsWith('-error'))
  return ids.map((id) => document.getElementById(id)?.textContent?.trim()).join()
}

beforeEach(() => {
  create.mockReset()
  api = { ...createApi(), blueprints: async () => [BLUEPRINT], blueprint: async () => BLUEPRINT, create }
})

describe('the form of a new project', () => {
  test('begins with the usual blueprint, wherever it is in the list', async () => {
    const others = ['existing-repository', 'python-library'].map((name) => ({ ...BLUEPRINT, name, title: { en: name } }))
    api.blueprints = async () => [...others, BLUEPRINT]
    const asked = vi.fn(async () => BLUEPRINT)
    api.blueprint = asked
    await open()
    expect(asked).toHaveBeenCalledWith('web-service')
  })

  test('is built from the schema, sends typed values, and leads to the initialization', async () => {
    create.mockResolvedValue(anInitialization())
    const { view, router, submit } = await open()
    await view.get('[name=name]').setValue('payments')
    await view.get('[name=team]').setValue('core')
    await submit()
    const body = { name: 'payments', blueprint: 'web-service', parameters: { team: 'core', port: 8080 } }
    expect(create).toHaveBeenCalledWith(body, expect.any(String))
    expect(router.currentRoute.value.path).toBe(`/projects/${aProject().id}`)
  })

  test('tells what is wrong beside its field before anything is sent', async () => {
    const { view, submit } = await open()
    await view.get('[name=name]').setValue('No')
    await view.get('[name=port]').setValue('99999')
    await submit()
    expect(errorOf(view, 'name')).toContain('lowercase letters')
    expect(errorOf(view, 'team')).toBe('Required')
    expect(errorOf(view, 'port')).toBe('Must be at most 65535.')
    expect(document.activeElement).toBe(view.get('[name=name]').element)
    expect(create).not.toHaveBeenCalled()
  })

  test('puts the errors of the API beside their fields', async () => {
    const errors = [
      { name: 'team', pointer: '/parameters/team', detail: 'There is no such team.' },
      { name: 'port', pointer: '/parameters/port', detail: 'must be at least 1024', code: 'minimum', expected: '1024' },
      { name: 'quota', pointer: '/parameters/quota', detail: 'The quota is used up.' },
    ]
    create.mockRejectedValue(new ApiError(422, { detail: 'Bad parameters', errors }))
    const { view, submit } = await open()
    await view.get('[name=name]').setValue('payments')
    await view.get('[name=team]').setValue('core')
    await submit()
    expect(errorOf(view, 'team')).toBe('There is no such team.')
    expect(errorOf(view, 'port')).toBe('Must be at least 1024.')
    expect(view.text()).toContain('The quota is used up.')
  })

  test('says beside the name that it is in use', async () => {
    create.mockRejectedValue(new ApiError(409, { detail: 'You have a project named payments.' }))
    const { view, submit } = await open()
    await view.get('[name=name]').setValue('payments')
    await view.get('[name=team]').setValue('core')
    await submit()
    expect(errorOf(view, 'name')).toBe('You already have a project named payments.')
  })

  test('is not sent twice by a second click, and sent again it keeps its key', async () => {
    let refuse: (error: ApiError) => void = () => undefined
    create.mockImplementationOnce(() => new Promise((_, reject) => (refuse = reject)))
    create.mockResolvedValueOnce(anInitialization())
    const { view, submit } = await open()
    await view.get('[name=name]').setValue('payments')
    await view.get('[name=team]').setValue('core')
    await submit()
    await submit()
    expect(create).toHaveBeenCalledTimes(1)

    refuse(new ApiError(503, { detail: 'Not confirmed in time.' }))
    await flushPromises()
    expect(view.text()).toContain('You can safely submit again')
    await submit()
    expect(create).toHaveBeenCalledTimes(2)
    expect(create.mock.calls[1]).toEqual(create.mock.calls[0])
  })
})
