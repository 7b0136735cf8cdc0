import { afterEach, expect, test, vi } from 'vitest'
import { learnServerTime, serverNow } from './clock'

const NOW = Date.parse('2026-03-02T09:00:00Z')

afterEach(() => {
  learnServerTime(new Date().toUTCString(), Date.now())
  vi.useRealTimers()
})

test.each([
  ['a clock that agrees', 0, 100, 0],
  ['whole seconds', -1, 100, 0],
  ['an answer that took long', -9, 9_000, 0],
  ['a clock that is behind', 60, 100, 60_000],
  ['a clock that is ahead', -60, 100, -59_900],
])('%s', (_, seconds, took, offset) => {
  vi.useFakeTimers({ now: NOW })
  learnServerTime(new Date(NOW + seconds * 1000).toUTCString(), NOW - took)
  expect(serverNow() - NOW).toBe(offset)
})
