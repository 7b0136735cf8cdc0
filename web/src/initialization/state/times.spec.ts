import { expect, test } from 'vitest'
import { aProject } from '@/testing/examples'
import { timesOf } from './times'

const START = Date.parse('2026-03-02T09:00:00+00:00')
const at = (seconds: number) => new Date(START + seconds * 1000).toISOString()

test('before the start there is no time', () => {
  expect(timesOf(aProject({ initialization_started_at: null }), START)).toBeNull()
})

test('the time that an initialization waits for a person is not worked', () => {
  const waiting = aProject({ status: 'failed', initialization_started_at: at(0), waited: 5_000, waiting_since: at(20) })
  expect(timesOf(waiting, START + 50_000)).toEqual({ worked: 15_000, waited: 35_000 })
  expect(timesOf({ ...waiting, status: 'initializing' }, START + 50_000)).toEqual({ worked: 45_000, waited: 5_000 })
})

test('after the end the times stand still', () => {
  const ended = aProject({ initialization_started_at: at(0), waited: 5_000, initialization_completed_at: at(30) })
  expect(timesOf(ended, START + 99_000)).toEqual({ worked: 25_000, waited: 5_000 })
})
