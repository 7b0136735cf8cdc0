import { describe, expect, test } from 'vitest'
import {
  ATTEMPT_OUTCOMES,
  DERIVED_PROJECT_ACTIONS,
  PROJECT_ACTIONS,
  PROJECT_STATUSES,
  STEP_ACTIONS,
  STEP_STATUSES,
  SUB_STEP_ACTIONS,
} from '@/api/facts'
import { en } from './en'
import { formatAgo, formatDuration, formatList, formatMoment, formatRough, formatSize, formatWhole, localized } from './format'
import { createText, toLocale } from './text'
import { zh } from './zh'

function leaves(messages: object, path = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const [key, value] of Object.entries(messages)) {
    if (typeof value === 'string') found.set(path + key, value)
    else leaves(value as object, `${path}${key}.`).forEach((text, name) => found.set(name, text))
  }
  return found
}

/** Which slots a text has. English may have one form for 1 and one for more, Chinese needs only one. */
const slots = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

describe('texts', () => {
  test('every text is there in both languages, with the same slots', () => {
    const [english, chinese] = [leaves(en), leaves(zh)]
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort())
    for (const [key, text] of english) expect(slots(chinese.get(key) ?? ''), key).toEqual(slots(text))
  })

  test('every text can be compiled', () => {
    for (const locale of ['en', 'zh'] as const) {
      const text = createText(locale)
      for (const key of leaves(en).keys()) expect(text.t(key), key).not.toBe(key)
    }
  })

  test('every status, outcome and action that the server can send has words', () => {
    const keys = leaves(en)
    const wanted = [
      ...[...PROJECT_STATUSES, ...STEP_STATUSES].map((status) => `status.${status}`),
      ...ATTEMPT_OUTCOMES.map((outcome) => `attempts.outcomes.${outcome}`),
      ...[...STEP_ACTIONS, ...SUB_STEP_ACTIONS].map((action) => `history.step.${action}`),
      ...[...PROJECT_ACTIONS, ...DERIVED_PROJECT_ACTIONS].map((action) => `history.project.${action}`),
    ]
    expect(wanted.filter((key) => !keys.has(key))).toEqual([])
  })

  test('one is singular in English', () => {
    const { t } = createText('en')
    expect(t('form.tooLong', { count: 1 })).toBe('At most 1 character.')
    expect(t('form.tooLong', { count: 2 })).toBe('At most 2 characters.')
    expect(t('progress.stepsDone', { done: 0, count: 1 })).toBe('0 of 1 step completed')
    expect(createText('zh').t('form.tooLong', { count: 2 })).toBe('最多 2 个字符。')
  })

  test('the browser language decides, English where it is unknown', () => {
    expect([toLocale('zh-Hans-CN'), toLocale('en-GB'), toLocale('fr'), toLocale(null)]).toEqual(['zh', 'en', 'en', 'en'])
  })
})

describe('times', () => {
  test.each([
    [0, '0 ms'],
    [420, '420 ms'],
    [4230, '4.2 s'],
    [9990, '10 s'],
    [80_000, '1 min 20 s'],
    [7_500_000, '2 h 5 min'],
    [180_000_000, '2 d 2 h'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms, 'en')).toBe(text)
  })

  test('Chinese has a space between number and unit, too', () => {
    expect(formatDuration(202, 'zh')).toBe('202 毫秒')
    expect(formatDuration(80_000, 'zh')).toBe('1 分钟 20 秒')
    expect(formatSize(100_000, 'zh')).toBe('100 kB')
  })

  test('a ticking time has whole seconds and carries over', () => {
    expect(formatWhole(59_700, 'en')).toBe('1 min')
    expect(formatWhole(-5, 'en')).toBe('0 s')
  })

  test('a rough time does not pretend to more than it knows', () => {
    expect(formatRough(43_210, 'en')).toBe('45 s')
    expect(formatRough(400, 'en')).toBe('1 s')
    expect(formatRough(200_000, 'en')).toBe('3 min')
  })

  test('a moment is in local time, with the date on another day', () => {
    const zone = process.env.TZ
    process.env.TZ = 'Asia/Kolkata'
    const now = Date.parse('2026-03-02T09:00:00Z')
    expect(formatMoment(Date.parse('2026-03-02T10:05:00Z'), now, 'zh')).toBe('15:35:00')
    expect(formatMoment(Date.parse('2026-03-02T20:05:00Z'), now, 'en')).toMatch(/^Mar 3, 2026, 1:35:00\sAM$/)
    process.env.TZ = zone
  })

  test('long ago is told in words', () => {
    expect(formatAgo(3_000, 'en')).toBe('')
    expect(formatAgo(120_000, 'en')).toBe('2 minutes ago')
    expect(formatAgo(120_000, 'zh')).toBe('2 分钟前')
  })

  test('a list reads as one in each language', () => {
    expect(formatList(['a', 'b', 'c'], 'en')).toBe('a, b, and c')
    expect(formatList(['a', 'b', 'c'], 'zh')).toBe('a、b和c')
  })

  test('a text per language falls back to English, then to any', () => {
    expect(localized({ en: 'A', zh: '甲' }, 'zh')).toBe('甲')
    expect(localized({ en: 'A' }, 'zh')).toBe('A')
    expect(localized({ fr: 'À' }, 'zh')).toBe('À')
    expect(localized(undefined, 'zh')).toBe('')
  })
})
