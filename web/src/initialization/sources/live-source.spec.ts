import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FakeEventSource } from '@/testing/fake-event-source'
import { Observed, anInitialization, stepEvent, until } from '@/testing/examples'
import { ApiError } from '@/api/errors'
import { LiveSource } from './live-source'
import type { OpenSource } from './source'
import type { Initialization } from '@/api/types'

const URL = '/api/projects/p/initialization/events'
const ENDED = { status: 'active', initialization_completed_at: '2026-03-02T09:01:00+00:00' } as const

let observed: Observed
let opened: OpenSource
let loadSnapshot: ReturnType<typeof vi.fn<() => Promise<Initialization>>>

function open(after?: number): void {
  opened = new LiveSource({ eventsUrl: URL, loadSnapshot, ...(after !== undefined && { after }) }).open(observed)
}

async function openLive(version = 1): Promise<void> {
  loadSnapshot.mockResolvedValue(anInitialization(version))
  open()
  await until(() => expect(FakeEventSource.opened).toHaveLength(1))
  FakeEventSource.last.accept()
}

function answerProbe(status: number, body: unknown = null, headers: Record<string, string> = {}): void {
  const content = status === 204 ? null : JSON.stringify(body)
  vi.stubGlobal('fetch', vi.fn(async () => new Response(content, { status, headers })))
}

beforeEach(() => {
  vi.useFakeTimers({ shouldAdvanceTime: true })
  observed = new Observed()
  loadSnapshot = vi.fn()
})
afterEach(() => {
  opened.close()
  vi.useRealTimers()
})

describe('the live source', () => {
  test('shows the snapshot and follows the stream from its version', async () => {
    await openLive(7)
    FakeEventSource.last.send(stepEvent(8, { step: 'build', progress: 5 }))
    expect(FakeEventSource.last.url).toBe(`${URL}?after=7`)
    expect(observed.versions).toEqual([7, 8])
    expect(observed.state).toBe('live')
  })

  test('an initialization that has ended needs no connection', async () => {
    loadSnapshot.mockResolvedValue(anInitialization(9, [], ENDED))
    open()
    await until(() => expect(observed.state).toBe('closed'))
    expect(FakeEventSource.opened).toHaveLength(0)
  })

  test('the end closes the connection', async () => {
    await openLive()
    FakeEventSource.last.send({ type: 'end', data: { version: 2, status: 'active' } })
    expect(observed.state).toBe('closed')
    expect(FakeEventSource.alive).toHaveLength(0)
  })

  test('a lost connection is the browser’s to mend, and ours when it takes long', async () => {
    await openLive()
    FakeEventSource.last.send(stepEvent(2, { step: 'build' }))
    FakeEventSource.last.lose()
    expect(observed.state).toBe('reconnecting')
    expect(FakeEventSource.opened).toHaveLength(1)

    for (let second = 0; second < 9; second++) {
      FakeEventSource.last.lose()
      await vi.advanceTimersByTimeAsync(1000)
    }
    await until(() => expect(FakeEventSource.opened).toHaveLength(2))
    expect(FakeEventSource.last.url).toBe(`${URL}?after=2`)
    expect(FakeEventSource.alive).toHaveLength(1)
  })

  test('an older snapshot never takes the picture back', async () => {
    await openLive(1)
    FakeEventSource.last.send(stepEvent(2, { step: 'build' }))
    opened.refresh()
    await until(() => expect(FakeEventSource.opened).toHaveLength(2))
    expect(observed.versions).toEqual([1, 2])
    expect(FakeEventSource.last.url).toBe(`${URL}?after=2`)
  })

  test('a refused reconnect with 204 means that the end still stands', async () => {
    await openLive()
    answerProbe(204)
    FakeEventSource.last.refuse()
    await until(() => expect(observed.state).toBe('closed'))
    expect(observed.failures).toEqual([])
  })

  test('a refused stream is asked for again when the server said, and the snapshot is shown meanwhile', async () => {
    await openLive()
    answerProbe(503, { detail: 'Too many streams.' }, { 'Retry-After': '30' })
    loadSnapshot.mockResolvedValue(anInitialization(5))
    FakeEventSource.last.refuse()
    await until(() => expect(observed.state).toBe('polling'))
    expect(observed.versions).toEqual([1, 5])
    expect(observed.failures.at(-1)).toEqual({ kind: 'unavailable', detail: 'Too many streams.' })

    await vi.advanceTimersByTimeAsync(25_000)
    expect(FakeEventSource.opened).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(6_000)
    await until(() => expect(FakeEventSource.opened).toHaveLength(2))
  })

  test('a project that goes while it is watched was deleted', async () => {
    await openLive()
    answerProbe(404, { detail: 'There is no such project.' })
    FakeEventSource.last.refuse()
    await until(() => expect(observed.failures.at(-1)?.kind).toBe('deleted'))
    expect(observed.state).toBe('closed')
  })

  test.each([
    [404, 'not_found'],
    [422, 'not_found'],
    [401, 'signed_out'],
    [403, 'forbidden'],
  ])('a load that is refused with %d is final: %s', async (status, kind) => {
    loadSnapshot.mockRejectedValue(new ApiError(status))
    open()
    await until(() => expect(observed.state).toBe('closed'))
    expect(observed.failures).toEqual([{ kind, detail: null }])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(loadSnapshot).toHaveBeenCalledTimes(1)
  })

  test('an API that is down at load is tried again until it is there', async () => {
    loadSnapshot.mockRejectedValueOnce(new ApiError(0)).mockRejectedValueOnce(new ApiError(502))
    loadSnapshot.mockResolvedValue(anInitialization(3))
    open()
    await until(() => expect(observed.failures.at(-1)?.kind).toBe('unreachable'))
    expect(observed.connections.at(-1)?.retryAt).toBeGreaterThan(Date.now())
    await vi.advanceTimersByTimeAsync(5_000)
    await until(() => expect(observed.versions).toEqual([3]))
  })

  test('offline closes the connection and online opens it again', async () => {
    await openLive()
    dispatchEvent(new Event('offline'))
    expect(observed.state).toBe('offline')
    expect(FakeEventSource.alive).toHaveLength(0)
    dispatchEvent(new Event('online'))
    await until(() => expect(FakeEventSource.alive).toHaveLength(1))
  })

  test('a page that becomes visible looks again, even after the end', async () => {
    loadSnapshot.mockResolvedValueOnce(anInitialization(9, [], ENDED)).mockResolvedValue(anInitialization(12))
    open()
    await until(() => expect(observed.state).toBe('closed'))
    document.dispatchEvent(new Event('visibilitychange'))
    await until(() => expect(FakeEventSource.alive).toHaveLength(1))
    expect(FakeEventSource.last.url).toBe(`${URL}?after=12`)
  })

  test('a machine that slept looks again', async () => {
    await openLive()
    vi.setSystemTime(Date.now() + 60_000)
    await vi.advanceTimersByTimeAsync(5_000)
    await until(() => expect(FakeEventSource.opened).toHaveLength(2))
  })

  test('what follows on another tab starts at its version without a snapshot', () => {
    open(41)
    expect(FakeEventSource.last.url).toBe(`${URL}?after=41`)
    expect(loadSnapshot).not.toHaveBeenCalled()
  })

  test('closed it holds nothing', async () => {
    await openLive()
    opened.close()
    document.dispatchEvent(new Event('visibilitychange'))
    await vi.advanceTimersByTimeAsync(30_000)
    expect(FakeEventSource.alive).toHaveLength(0)
    expect(loadSnapshot).toHaveBeenCalledTimes(1)
  })
})
