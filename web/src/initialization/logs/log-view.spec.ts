import { mount, type VueWrapper } from '@vue/test-utils'
import { afterEach, expect, test, vi } from 'vitest'
import { computed, defineComponent, h } from 'vue'
import type { Attempt, Step } from '@/api/types'
import { aStep, until } from '@/testing/examples'
import { createText, provideText } from '@/text/text'
import LogView from './LogView.vue'
import { provideLogLinks, provideLogs, type Logs } from './logs'

const STEP = aStep({ status: 'failed', attempt: 2, round: 1 })
const AT = '2026-11-26T02:30:00Z'
const record = (item: object) => `${JSON.stringify(item)}\n`
const line = (seq: number, text = `line ${seq}`) => record({ seq, at: AT, level: 'info', stream: 'log', text })
const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => line(from + index)).join('')
const end = (seq: number, more: object = {}) => record({ end: { seq, outcome: 'failed', complete: true, superseded: false, ...more } })

const asked: string[] = []
let stream: ReadableStreamDefaultController<Uint8Array> | null = null
const send = (text: string) => stream?.enqueue(new TextEncoder().encode(text))

afterEach(() => {
  vi.unstubAllGlobals()
  history.replaceState(null, '', '/')
})

/** The log of STEP at this address; its lines are those of `send`. */
function open(hash: string, step: Step = STEP): VueWrapper {
  history.replaceState(null, '', `/projects/1${hash}`)
  asked.length = 0
  stream = null
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url)
    return new Response(new ReadableStream({ start: (controller) => void (stream = controller) }))
  })
  const attempts = [1, 2].map((attempt) => ({ round: 1, attempt, outcome: 'failed' }) as Attempt)
  const logs: Logs = {
    root: '',
    url: (name) => `/${name}/logs`,
    signedOut: () => undefined,
    attempts: async (_, after) => attempts.slice(after),
  }
  const page = defineComponent(() => {
    provideText(createText('en'))
    provideLogs(computed(() => logs))
    provideLogLinks()
    return () => h(LogView, { step, name: 'Build', focused: false })
  })
  return mount(page, { attachTo: document.body })
}

async function openWith(hash: string, text: string): Promise<VueWrapper> {
  const view = open(hash)
  await until(() => expect(stream).not.toBeNull())
  send(text)
  return view
}

const buttons = (view: VueWrapper) => view.findAll('button').map((button) => button.text())
const hasEnded = (view: VueWrapper) => until(() => expect(view.find('[data-log-state=ended]').exists()).toBe(true))

test('no line that is read for a link is a new line', async () => {
  const view = await openWith('#log=build:1.2:L10', lines(1, 400))
  await until(() => expect(view.text()).toContain('400 lines'))
  expect(buttons(view)).toContain('Go to the end')
  expect(view.text()).not.toContain('new lines')
  send(end(400))
  await hasEnded(view)
  expect(buttons(view)).not.toContain('Go to the end')
  expect(view.text()).not.toContain('new lines')
})

test('lines that came after the reader had left the end are counted until the log ends', async () => {
  const view = await openWith('', lines(1, 40))
  await until(() => expect(view.text()).toContain('40 lines'))
  await view.get('[role=log]').trigger('keydown', { key: 'Home' })
  send(lines(41, 50))
  await until(() => expect(buttons(view)).toContain('10 new lines'))
  send(end(50))
  await hasEnded(view)
  expect(buttons(view)).toContain('Go to the end')
  expect(view.text()).not.toContain('new lines')
})

test('a link to a line that does not exist says so and selects nothing', async () => {
  const view = await openWith('#log=build:1.2:L500', lines(1, 42))
  await until(() => expect(view.text()).toContain('42 lines'))
  expect(view.text()).not.toContain('Copy 1 line')
  send(end(42))
  await until(() => expect(view.text()).toContain('Line 500 does not exist: the log has 42 lines.'))
  expect(buttons(view)).toContain('Copy all')
  expect(buttons(view)).not.toContain('Copy link')
  await view.get('[data-line="7"] .log-number').trigger('click')
  expect(view.text()).not.toContain('does not exist')
  expect(buttons(view)).toContain('Copy 1 line')
})

test('of a link to lines beyond the end, those that exist are selected', async () => {
  const view = await openWith('#log=build:1.2:L40-L50', lines(1, 42) + end(42))
  await hasEnded(view)
  expect(buttons(view)).toContain('Copy 3 lines')
  expect(view.text()).not.toContain('does not exist')
})

test('a link to an attempt that does not exist says so and shows the newest, without its lines', async () => {
  const view = await openWith('#log=build:1.9:L3', lines(1, 42) + end(42))
  await hasEnded(view)
  expect(view.text()).toContain('Attempt 9 does not exist. The newest attempt is shown.')
  expect(asked.every((url) => url.includes('round=1&attempt=2'))).toBe(true)
  expect(view.get<HTMLSelectElement>('select[aria-label=Attempt]').element.value).toBe('1.2')
  expect(buttons(view)).toContain('Copy all')
})

test('the chosen attempt goes into the address, without the lines of another one', async () => {
  const view = await openWith('#log=build:1.2:L3', lines(1, 42) + end(42))
  await hasEnded(view)
  expect(buttons(view)).toContain('Copy 1 line')
  stream = null
  await view.get('select[aria-label=Attempt]').setValue('1.1')
  expect(location.hash).toBe('#log=build:1.1')
  await until(() => expect(stream).not.toBeNull())
  send(lines(1, 5) + end(5))
  await hasEnded(view)
  expect(asked.at(-1)).toContain('round=1&attempt=1')
  expect(buttons(view)).toContain('Copy all')
  view.unmount()

  const again = await openWith(location.hash, lines(1, 5) + end(5))
  await hasEnded(again)
  expect(again.get<HTMLSelectElement>('select[aria-label=Attempt]').element.value).toBe('1.1')
  expect(asked.every((url) => url.includes('round=1&attempt=1'))).toBe(true)
})

test('an attempt whose end is missing is not said to have written no log', async () => {
  const view = await openWith('', end(0, { complete: false }))
  await hasEnded(view)
  expect(view.text()).toContain('The end of this log is missing')
  expect(view.text().split('The end of this log is missing')).toHaveLength(2)
  expect(view.text()).not.toContain('This attempt wrote no log.')
})

test('a log whose end is missing says so below its lines', async () => {
  const view = await openWith('', line(1) + end(1, { complete: false }))
  await hasEnded(view)
  expect(view.findAll('[data-line]')).toHaveLength(1)
  expect(view.text()).toContain('The end of this log is missing')
})

test('a line whose middle is gone does not offer all of it', async () => {
  const long = `${'a'.repeat(8192)}… 90000 characters left out …${'b'.repeat(8192)}`
  const view = await openWith('#log=build:1.2:L1', line(1, long) + line(2, 'c'.repeat(16_000)) + end(2))
  await hasEnded(view)
  expect(view.get('[data-line="1"] .log-cut').text()).toBe(
    '… 6 kB more at the end of this line. Copy or download it to see its end. Its middle is not kept.',
  )
  expect(view.get('[data-line="2"] .log-cut').text()).toBe('… 6 kB more in this line. Copy or download it to see all of it.')
})

test('web addresses in lines are links that do not tell where they were followed', async () => {
  const view = await openWith('#log=build:1.2:L1', line(1, 'see https://a.example/b.') + line(2, 'javascript:alert(1)') + end(2))
  await hasEnded(view)
  const link = view.get('[data-line="1"] .log-text a')
  expect(link.text()).toBe('https://a.example/b')
  expect(link.attributes()).toMatchObject({ href: 'https://a.example/b', rel: 'noreferrer', target: '_blank' })
  expect(view.get('[data-line="1"] .log-text').text()).toBe('see https://a.example/b.')
  expect(view.find('[data-line="2"] .log-text a').exists()).toBe(false)
})

test('numbers in the viewer have separators', async () => {
  const view = await openWith('#log=build:1.2:L1-L1200', lines(1, 1200) + end(1200))
  await hasEnded(view)
  expect(buttons(view)).toContain('Copy 1,200 lines')
  expect(view.text()).toContain('1,200 lines')
})
