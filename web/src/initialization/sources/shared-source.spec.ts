import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FakeEventSource } from '@/testing/fake-event-source'
import { FakeLocks } from '@/testing/fake-locks'
import { Observed, anInitialization, stepEvent, until } from '@/testing/examples'
import { SharedSource } from './shared-source'
import type { OpenSource } from './source'
import type { Initialization } from '@/api/types'

interface Tab {
  observed: Observed
  opened: OpenSource
}

let tabs: Tab[]
let snapshot: Initialization
let channel = 0

function openTab(): Tab {
  const observed = new Observed()
  const options = { eventsUrl: '/events', loadSnapshot: async () => snapshot }
  const tab = { observed, opened: new SharedSource(`shared-${channel}`, options).open(observed) }
  tabs.push(tab)
  return tab
}

/** The first tab leads and is live. */
async function openTabs(count: number): Promise<Tab[]> {
  const first = openTab()
  await until(() => expect(FakeEventSource.opened).toHaveLength(1))
  FakeEventSource.last.accept()
  for (let index = 1; index < count; index++) openTab()
  await until(() => tabs.forEach(({ observed }) => expect(observed.versions.at(0)).toBe(snapshot.version)))
  expect(first.observed.state).toBe('live')
  return tabs
}

beforeEach(() => {
  tabs = []
  channel += 1
  snapshot = anInitialization(1)
  Object.defineProperty(navigator, 'locks', { value: new FakeLocks(), configurable: true })
})
afterEach(() => {
  tabs.forEach(({ opened }) => opened.close())
})

describe('the shared source', () => {
  test('ten tabs need one connection, and each sees every event', async () => {
    await openTabs(10)
    FakeEventSource.last.send(stepEvent(2, { step: 'build', progress: 5 }))
    FakeEventSource.last.send(stepEvent(3, { step: 'build', progress: 9 }))
    await until(() => tabs.forEach(({ observed }) => expect(observed.versions).toEqual([1, 2, 3])))
    expect(FakeEventSource.opened).toHaveLength(1)
    await until(() => tabs.forEach(({ observed }) => expect(observed.state).toBe('live')))
  })

  test('what has ended is read once, and nobody listens to it', async () => {
    snapshot = anInitialization(9, [], { initialization_completed_at: '2026-03-02T09:01:00+00:00' })
    const load = vi.fn(async () => snapshot)
    const observed = new Observed()
    const options = { eventsUrl: '/events', loadSnapshot: load }
    tabs.push({ observed, opened: new SharedSource(`shared-${channel}`, options).open(observed) })
    await until(() => expect(observed.state).toBe('closed'))
    expect(observed.versions).toEqual([9])
    expect(load).toHaveBeenCalledTimes(1)
    expect(FakeEventSource.opened).toHaveLength(0)
  })

  test('when the leading tab is closed, the next follows on where it was', async () => {
    const [leader, next, other] = await openTabs(3)
    FakeEventSource.last.send(stepEvent(2, { step: 'build' }))
    await until(() => expect(next?.observed.versions).toEqual([1, 2]))
    leader?.opened.close()
    await until(() => expect(FakeEventSource.alive).toHaveLength(1))
    expect(FakeEventSource.last.url).toBe('/events?after=2')
    FakeEventSource.last.send(stepEvent(3, { step: 'build' }))
    await until(() => expect(other?.observed.versions).toEqual([1, 2, 3]))
  })

  test('a control in one tab wakes the tab that leads', async () => {
    const [leader, next] = await openTabs(2)
    FakeEventSource.last.send({ type: 'end', data: { version: 2, status: 'failed' } })
    await until(() => expect(next?.observed.state).toBe('closed'))
    snapshot = anInitialization(4)
    next?.opened.refresh()
    await until(() => expect(FakeEventSource.alive).toHaveLength(1))
    expect(leader?.observed.versions).toContain(4)
    await until(() => expect(next?.observed.versions).toContain(4))
  })

  test('a leading tab that no longer answers is replaced', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true })
    const silent = new FakeLocks()
    Object.defineProperty(navigator, 'locks', { value: silent, configurable: true })
    void silent.request('', {}, () => new Promise(() => undefined)).catch(() => undefined)
    openTab()
    await vi.advanceTimersByTimeAsync(4_000)
    await until(() => expect(FakeEventSource.alive).toHaveLength(1))
    vi.useRealTimers()
  })
})
