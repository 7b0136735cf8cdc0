import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { until } from '@/testing/examples'
import { LogReader, type ReaderOptions } from './log-reader'
import type { LogGap, LogLine } from './store/line'

const URL = '/api/projects/p/initialization/steps/build/logs?round=1&attempt=1'
const line = (seq: number) => JSON.stringify({ seq, at: '2026-11-26T02:30:00Z', level: 'info', stream: 'log', text: `line ${seq}` })
const END = JSON.stringify({ end: { seq: 9, outcome: 'failed' } })
const ROTATED = JSON.stringify({ end: { seq: 9, outcome: null } })

let asked: string[]
let answers: (() => Response)[]
let lines: number[]
let gaps: LogGap[]
let states: unknown[]
let reader: LogReader

const answer = (...parts: (string | Error)[]) => () => {
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const part = parts.shift()
      if (part === undefined) controller.close()
      else if (part instanceof Error) controller.error(part)
      else controller.enqueue(new TextEncoder().encode(part))
    },
  })
  return new Response(stream)
}

function read(options: Partial<ReaderOptions> = {}): Promise<void> {
  reader = new LogReader({ url: URL, root: '', follow: true, ...options }, {
    line: ({ seq }: LogLine) => void lines.push(seq),
    gap: (gap) => void gaps.push(gap),
    state: (state, more) => void states.push(more?.end?.outcome ?? more?.failure?.kind ?? state),
  })
  return reader.run()
}

beforeEach(() => {
  ;[asked, answers, lines, gaps, states] = [[], [], [], [], []]
  vi.spyOn(Math, 'random').mockReturnValue(0)
  vi.stubGlobal('fetch', async (url: string) => {
    asked.push(url)
    const next = answers.shift()
    if (!next) throw new TypeError('Failed to fetch')
    return next()
  })
})
afterEach(() => reader.stop())

test('reads lines that are cut anywhere, until the end', async () => {
  const text = `${line(1)}\n\n${line(2)}\n${END}\n`
  answers = [answer(text.slice(0, 20), text.slice(20, 31), text.slice(31))]
  await read()
  expect(lines).toEqual([1, 2])
  expect(states).toEqual(['connecting', 'live', 'failed'])
  expect(asked).toEqual([`${URL}&follow=true`])
})

test('goes on after the last line when the connection is lost, without a double', async () => {
  answers = [
    answer(`${line(1)}\n${line(2)}\n${line(3).slice(0, 30)}`),
    answer(`${line(2)}\n${line(3)}\n`, new Error('gone')),
    answer(`${line(4)}\n${END}\n`),
  ]
  await read({ tail: 100 })
  expect(lines).toEqual([1, 2, 3, 4])
  expect(asked).toEqual([`${URL}&tail=100&follow=true`, `${URL}&after=2&follow=true`, `${URL}&after=3&follow=true`])
  expect(states.filter((state) => state === 'lost')).toHaveLength(2)
})

test('a pause of the log is no loss', async () => {
  answers = [answer(`${line(1)}\n${ROTATED}\n`), answer(`${line(2)}\n${END}\n`)]
  await read()
  expect([lines, states]).toEqual([[1, 2], ['connecting', 'live', 'live', 'failed']])
})

test('tells of gaps once', async () => {
  const gap = JSON.stringify({ gap: { after: 1, before: 100, lines: 98, characters: 83_000_000 } })
  answers = [answer(`${line(1)}\n${gap}\n`), answer(`${gap}\n${line(100)}\n${END}\n`)]
  await read()
  expect([lines, gaps.length, asked[1]]).toEqual([[1, 100], 1, `${URL}&after=99&follow=true`])
})

test('stops before a line', async () => {
  answers = [answer(`${line(1)}\n${line(2)}\n${line(3)}\n`)]
  await read({ follow: false, before: 3 })
  expect([lines, asked]).toEqual([[1, 2], [`${URL}&`]])
})

test.each([
  [404, 'not_found'],
  [403, 'forbidden'],
  [410, 'deleted'],
])('%d is final', async (status, kind) => {
  answers = [() => Response.json({ title: 'No' }, { status })]
  await read()
  expect(states.at(-1)).toBe(kind)
})

test('a server that is away is asked again', async () => {
  answers = [() => Response.json({}, { status: 502 }), answer(`${line(1)}\n${END}\n`)]
  const reading = read()
  await until(() => expect(states).toContain('unreachable'))
  await reading
  expect(lines).toEqual([1])
})
