import { flushPromises, mount } from '@vue/test-utils'
import { afterEach, expect, test, vi } from 'vitest'
import type { Step } from '@/api/types'
import { anInitialization, aStep, until } from '@/testing/examples'
import InitializationProgress from '../InitializationProgress.vue'

const PROJECT = '0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10'
const line = (seq: number, text: string, level = 'info') =>
  `${JSON.stringify({ seq, at: '2026-11-26T02:30:00Z', level, stream: 'stderr', text })}\n`
const LOG = `${line(1, 'compiling')}${line(2, '\x1b[31mno space left\x1b[0m', 'error')}`

afterEach(() => vi.unstubAllGlobals())

const DETAILS = { command: ['make', 'image'], exit_status: 2, output: `first line\n${'x'.repeat(3000)}\nno space left` }

async function show(
  logs: 'on' | 'off' | undefined,
  answer: () => Response,
  completedAt = '2026-03-02T09:00:05Z',
  metadata: Step['metadata'] = {},
) {
  const asked: string[] = []
  const times = { started_at: '2026-03-02T09:00:00Z', completed_at: completedAt }
  const failed = aStep({ step: 'build', status: 'failed', error: 'It failed.', attempt: 2, metadata, ...times })
  vi.stubGlobal('fetch', async (input: RequestInfo) => {
    const url = typeof input === 'string' ? input : input.url
    if (!url.includes('/logs?')) return Response.json(anInitialization(1, [failed], { status: 'failed' }))
    asked.push(url)
    return answer()
  })
  const view = mount(InitializationProgress, { props: { projectId: PROJECT, lang: 'en', logs }, attachTo: document.body })
  await flushPromises()
  await until(() => expect(view.find('[data-step=build]').exists()).toBe(true))
  return { view, asked }
}

test('a failed step shows the last lines of its last attempt', async () => {
  const { view, asked } = await show(undefined, () => new Response(LOG))
  await until(() => expect(view.findAll('.log-tail .log-row')).toHaveLength(2))
  expect(asked).toEqual([expect.stringMatching(/steps\/build\/logs\?round=1&attempt=2&tail=10$/)])
  expect(view.get('.log-error .log-text').text()).toBe('no space left')
  expect(view.get('.log-error [role=img]').attributes('aria-label')).toBe('Error')
  expect(view.text()).toContain('Show the whole log')
})

test('of a step that has just failed, lines that are written late are shown too', async () => {
  const { view, asked } = await show('on', () => new Response(LOG), new Date().toISOString())
  await until(() => expect(view.findAll('.log-tail .log-row')).toHaveLength(2))
  expect(asked[0]).toMatch(/attempt=2&tail=10&follow=true$/)
  view.unmount()
})

test('the titles of groups are shown without their marks', async () => {
  const group = `${line(1, '::group::Install')}${line(2, 'added')}${line(3, '::endgroup::')}`
  const { view } = await show('on', () => new Response(group))
  await until(() => expect(view.findAll('.log-tail .log-text').map((row) => row.text())).toEqual(['Install', 'added']))
})

test('the last lines come first below the error message, and fold the output that has the same lines', async () => {
  const { view } = await show('on', () => new Response(LOG), undefined, { error_details: DETAILS })
  await until(() => expect(view.findAll('.log-tail .log-row')).toHaveLength(2))
  const error = view.get('section[aria-label="Error message"]')
  const order = ['It failed.', 'no space left', 'Command', 'Exit status', 'Output'].map((text) => error.text().indexOf(text))
  expect(order).toEqual([...order].sort((a, b) => a - b))
  expect(order).not.toContain(-1)
  expect(error.find('pre[aria-label=Output]').exists()).toBe(false)
  await error.findAll('button').find((button) => button.text() === 'Output')?.trigger('click')
  expect(error.get('pre[aria-label=Output]').text()).toMatch(/no space left$/)
})

test('without a log the output is open, at its end', async () => {
  const height = vi.spyOn(HTMLElement.prototype, 'scrollHeight', 'get').mockReturnValue(900)
  const { view } = await show('off', () => new Response(LOG), undefined, { error_details: DETAILS })
  const output = view.get('pre[aria-label=Output]')
  expect(output.text()).toMatch(/^…x+\nno space left$/)
  expect(output.element.scrollTop).toBe(900)
  expect(view.get('pre[aria-label="Error message"]').element.scrollTop).toBe(0)
  height.mockRestore()
})

test('web addresses in the last lines are links', async () => {
  const { view } = await show('on', () => new Response(line(1, 'see https://a.example/7')))
  await until(() => expect(view.find('.log-tail a').exists()).toBe(true))
  expect(view.get('.log-tail a').attributes()).toMatchObject({ href: 'https://a.example/7', rel: 'noreferrer' })
})

test('a server that has no logs leaves the error alone', async () => {
  const { view, asked } = await show('on', () => Response.json({}, { status: 404 }))
  await until(() => expect(asked).toHaveLength(1))
  await flushPromises()
  expect(view.find('.log-tail').exists()).toBe(false)
  expect(view.get('[aria-label="Error message"]').text()).toContain('It failed.')
})

test('logs="off" asks for none and offers none', async () => {
  const { view, asked } = await show('off', () => new Response(LOG))
  expect(view.get('[aria-label="Error message"]').text()).toContain('It failed.')
  expect(view.text()).not.toContain('Show the whole log')
  expect(asked).toEqual([])
})
