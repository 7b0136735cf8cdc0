import { flushPromises, mount } from '@vue/test-utils'
import { expect, test } from 'vitest'
import { createMemoryHistory, createRouter } from 'vue-router'
import { createApi, type StepwayApi } from '@/api/client'
import type { HistoryEvent } from '@/api/types'
import { API } from '@/api/use-api'
import { anInitialization, aStep } from '@/testing/examples'
import { createText, TEXT } from '@/text/text'
import HistoryView from './HistoryView.vue'

type Page = Awaited<ReturnType<StepwayApi['history']>>

interface Request {
  after: number
  progress: boolean
  answer: (page: Page) => void
}

function pageOf(first: number, count: number): Page {
  const items = Array.from({ length: count }, (_, index) => ({
    version: first + index, type: 'step', action: 'started', step: 'build', actor: null, payload: {}, at: '2025-03-01T10:00:00Z',
  })) as HistoryEvent[]
  return { items, next_after: first + count - 1 }
}

/** The history, whose pages are answered by the test. */
async function open() {
  const requests: Request[] = []
  const history = (_: string, { after = 0, progress = false }) =>
    new Promise<Page>((answer) => requests.push({ after, progress, answer }))
  const api = { ...createApi(), history, initialization: async () => anInitialization(1, [aStep()]) } as StepwayApi
  const router = createRouter({ history: createMemoryHistory(), routes: [{ path: '/', component: { template: '<i />' } }] })
  const provide = { [API as symbol]: api, [TEXT as symbol]: createText('en') }
  const view = mount(HistoryView, { props: { id: 'p' }, global: { plugins: [router], provide } })
  const answer = async (index: number, page: Page) => {
    requests[index]?.answer(page)
    await flushPromises()
  }
  const rows = () => view.findAll('li').length
  await flushPromises()
  return { view, requests, answer, rows }
}

test('an answer that another choice has overtaken adds no rows', async () => {
  const { view, requests, answer, rows } = await open()
  await view.get('input[name=progress]').setValue(true)
  await answer(0, pageOf(1, 2))
  await answer(1, pageOf(1, 3))
  expect(requests.map(({ after, progress }) => [after, progress])).toEqual([[0, false], [0, true]])
  expect(rows()).toBe(3)

  await view.get('input[name=progress]').setValue(false)
  await view.get('input[name=progress]').setValue(true)
  await answer(3, pageOf(1, 3))
  await answer(2, pageOf(1, 2))
  expect(rows()).toBe(3)
})

test('the next page is added to the one before', async () => {
  const { view, requests, answer, rows } = await open()
  await answer(0, pageOf(1, 100))
  expect(rows()).toBe(100)
  await view.get('button').trigger('click')
  await answer(1, pageOf(101, 2))
  expect(requests.map(({ after }) => after)).toEqual([0, 100])
  expect(rows()).toBe(102)
  expect(view.find('button').exists()).toBe(false)
})
