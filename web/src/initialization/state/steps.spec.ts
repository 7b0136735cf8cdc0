import { describe, expect, test } from 'vitest'
import { aProject, aStep } from '@/testing/examples'
import { cloneCommand, isWebAddress, linksOf, resultOf } from './results'
import { isBeingUndone, nameOf, placesInGroups, shownStepStatus, statusChanges } from './steps'
import { timeLeft } from './use-estimate'

const at = (second: number) => `2026-03-02T09:00:${String(second).padStart(2, '0')}+00:00`

function ran(step: string, from: number, to: number | null) {
  return aStep({ step, started_at: at(from), completed_at: to === null ? null : at(to), status: to === null ? 'running' : 'completed' })
}

describe('names', () => {
  test('come in the language shown, else as the step has them', () => {
    const step = aStep({ metadata: { display_names: { en: 'Build', zh: '构建' } } })
    expect(nameOf(step, 'zh')).toBe('构建')
    expect(nameOf(aStep({ display_name: 'Only this' }), 'zh')).toBe('Only this')
    expect(nameOf(aStep({ display_name: '' }), 'zh')).toBe('build')
  })
})

describe('steps at the same time', () => {
  const now = Date.parse(at(9))

  test('neighbours whose times overlap are one group', () => {
    const places = placesInGroups([ran('a', 0, 2), ran('b', 2, 6), ran('c', 3, 5), ran('d', 4, null)], now)
    expect(Object.fromEntries(places)).toEqual({ b: 'first', c: 'middle', d: 'last' })
  })

  test('one after the other is no group', () => {
    expect(placesInGroups([ran('a', 0, 2), ran('b', 2, 4), aStep({ step: 'c' })], now).size).toBe(0)
  })
})

describe('the status that people see', () => {
  test('is cancelled for a step that was stopped from outside', () => {
    const stopped = aStep({ status: 'failed', error: 'Cancelled by ada.', metadata: { reason: 'Cancelled by ada.' } })
    expect(shownStepStatus(stopped)).toBe('cancelled')
    expect(shownStepStatus({ ...stopped, metadata: {} })).toBe('failed')
    expect(shownStepStatus({ ...stopped, status: 'skipped' })).toBe('skipped')
  })
})

describe('changes of status', () => {
  test('are told for steps, not for mere progress nor for parts', () => {
    const part = aStep({ step: 'a.x', parent_step: 'a' })
    const before = [aStep({ step: 'a' }), aStep({ step: 'b' }), part]
    const after = [aStep({ step: 'a', status: 'running' }), aStep({ step: 'b', progress: 9 }), { ...part, status: 'running' as const }]
    expect(statusChanges(before, after).map(({ step }) => step)).toEqual(['a'])
  })
})

describe('taking back', () => {
  const undone = (status: 'running' | 'completed') => [aStep({ metadata: { undo: { status } } })]

  test('goes on while one undo runs, and is over when the initialization is taken up again', () => {
    expect(isBeingUndone({ project: aProject(), steps: undone('running') })).toBe(true)
    expect(isBeingUndone({ project: aProject(), steps: undone('completed') })).toBe(false)
    expect(isBeingUndone({ project: aProject({ status: 'cancelled' }), steps: undone('running') })).toBe(false)
  })
})

describe('results', () => {
  test('are what the step made, without what the tracking noted', () => {
    const metadata = { url: 'https://x.example', remedy: 'Sleep', display_names: { en: 'X' }, empty: null }
    expect(resultOf(metadata)).toEqual([['url', 'https://x.example']])
  })

  test('an address is listed once, with its newest commit, and not after it was taken back', () => {
    const url = 'https://git.example/a.git'
    const made = aStep({ step: 'a', status: 'completed', metadata: { url } })
    const pushed = aStep({ step: 'b', status: 'completed', metadata: { url, commit: 'abc' } })
    expect(linksOf([made, pushed])).toMatchObject([{ url, commit: 'abc', step: { step: 'a' } }])
    expect(linksOf([{ ...made, undone_at: at(1) }])).toEqual([])
  })

  test('a pull request is an address too', () => {
    const request = { number: 3, url: 'https://git.example/acme/shop/pull/3' }
    const step = aStep({ status: 'completed', metadata: { url: 'https://git.example/acme/shop.git', pull_request: request } })
    expect(linksOf([step]).map(({ url }) => url)).toEqual([request.url, 'https://git.example/acme/shop.git'])
    const odd = aStep({ status: 'completed', metadata: { pull_request: { url: 'javascript:alert(1)' } } })
    expect(linksOf([odd, aStep({ status: 'completed', metadata: { pull_request: null } })])).toEqual([])
  })

  test('only web addresses can be opened', () => {
    expect(isWebAddress('https://x.example/a')).toBe(true)
    expect(isWebAddress('javascript:alert(1)')).toBe(false)
    expect(isWebAddress({})).toBe(false)
  })

  test('a clone command is safe to paste', () => {
    expect(cloneCommand('/data/repositories/a.git')).toBe('git clone /data/repositories/a.git')
    expect(cloneCommand("/a b'; rm -rf ~.git")).toBe(String.raw`git clone '/a b'\''; rm -rf ~.git'`)
  })
})

describe('the estimate', () => {
  test('says nothing under three samples, nor after its time is over', () => {
    expect(timeLeft({ p50_ms: 1000, p95_ms: 2000, samples: 2 }, 0)).toBeNull()
    expect(timeLeft({ p50_ms: 1000, p95_ms: 2000, samples: 3 }, 2500)).toBeNull()
    expect(timeLeft(null, 0)).toBeNull()
  })

  test('shrinks as time goes by and never below nothing', () => {
    expect(timeLeft({ p50_ms: 1000, p95_ms: 3000, samples: 9 }, 1500)).toEqual({ low: 0, high: 1500, samples: 9 })
  })
})
