import { describe, expect, test } from 'vitest'
import { aStep } from '@/testing/examples'
import { isHeldUp } from './waits'

const NOW = Date.parse('2026-03-02T09:00:00Z')
const LATER = '2026-03-02T10:00:00Z'

describe('a step is held up', () => {
  test.each([
    ['by a limit', 'running', { next_attempt_at: LATER, asked_to_wait: true }, true],
    ['by a missing worker', 'pending', { waiting_for_worker: { since: LATER } }, true],
    ['but not before its next attempt', 'running', { next_attempt_at: LATER }, false],
    ['and not after its limit', 'running', { next_attempt_at: '2026-03-02T09:00:00Z', asked_to_wait: true }, false],
    ['and not while it works', 'running', {}, false],
  ] as const)('%s', (_, status, metadata, held) => {
    expect(isHeldUp(aStep({ status, metadata }), NOW)).toBe(held)
  })
})
