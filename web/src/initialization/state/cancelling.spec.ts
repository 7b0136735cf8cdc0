import { describe, expect, test } from 'vitest'
import { aProject } from '@/testing/examples'
import { shownStatus } from './cancelling'

const TIME = '2026-03-02T09:01:00+00:00'

describe('The status that people see', () => {
  test.each(['initializing', 'failed'] as const)('is cancelling after a request while the status is %s', (status) => {
    expect(shownStatus(aProject({ status }))).toBe(status)
    expect(shownStatus(aProject({ status, cancel_requested_at: TIME }))).toBe('cancelling')
  })

  test.each(['active', 'cancelled', 'failed'] as const)('is %s after the end, also if the time is left', (status) => {
    const ended = aProject({ status, cancel_requested_at: TIME, initialization_completed_at: TIME })
    expect(shownStatus(ended)).toBe(status)
  })

  test.each(['active', 'cancelled'] as const)('is %s also without a time of the end', (status) => {
    expect(shownStatus(aProject({ status, cancel_requested_at: TIME }))).toBe(status)
  })
})
