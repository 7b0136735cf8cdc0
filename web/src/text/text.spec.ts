import { describe, expect, test } from 'vitest'
import { en } from './en'
import { formatAgo, formatDuration, formatRough, formatWhole, localized } from './format'
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

const slots = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort()

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

  test('the browser language decides, English where it is unknown', () => {
    expect([toLocale('zh-Hans-CN'), toLocale('en-GB'), toLocale('fr'), toLocale(null)]).toEqual(['zh', 'en', 'en', 'en'])
  })
})

describe('times', () => {
  test.each([
    [0, '0ms'],
    [420, '420ms'],
    [4230, '4.2s'],
    [9990, '10s'],
    [80_000, '1m 20s'],
    [7_500_000, '2h 5m'],
    [180_000_000, '2d 2h'],
  ])('%d ms is %s', (ms, text) => {
    expect(formatDuration(ms, 'en')).toBe(text)
  })

  test('a ticking time has whole seconds and carries over', () => {
    expect(formatWhole(59_700, 'en')).toBe('1m')
    expect(formatWhole(-5, 'en')).toBe('0s')
  })

  test('a rough time does not pretend to more than it knows', () => {
    expect(formatRough(43_210, 'en')).toBe('45s')
    expect(formatRough(400, 'en')).toBe('1s')
    expect(formatRough(200_000, 'en')).toBe('3m')
  })

  test('long ago is told in words', () => {
    expect(formatAgo(3_000, 'en')).toBe('')
    expect(formatAgo(120_000, 'en')).toBe('2 minutes ago')
    expect(formatAgo(120_000, 'zh')).toBe('2分钟前')
  })

  test('a text per language falls back to English, then to any', () => {
    expect(localized({ en: 'A', zh: '甲' }, 'zh')).toBe('甲')
    expect(localized({ en: 'A' }, 'zh')).toBe('A')
    expect(localized({ fr: 'À' }, 'zh')).toBe('À')
    expect(localized(undefined, 'zh')).toBe('')
  })
})
