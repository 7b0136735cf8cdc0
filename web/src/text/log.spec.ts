import { expect, test } from 'vitest'
import { countText, gapText, LOG_TEXTS } from './log'
import { createText } from './text'

function leaves(messages: object, path = ''): string[] {
  return Object.entries(messages).flatMap(([key, value]) =>
    typeof value === 'string' ? [path + key] : leaves(value as object, `${path}${key}.`),
  )
}
const slots = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort()

test('every text of the log viewer is there in both languages, with the same slots, and can be compiled', () => {
  const [english, chinese] = [createText('en'), createText('zh')]
  english.mergeLocaleMessage('en', LOG_TEXTS.en)
  chinese.mergeLocaleMessage('zh', LOG_TEXTS.zh)
  const at = (messages: object, key: string) =>
    key.split('.').reduce<unknown>((part, name) => (part as Record<string, unknown>)[name], messages) as string
  for (const key of leaves(LOG_TEXTS.en)) {
    expect(slots(at(LOG_TEXTS.zh, key)), key).toEqual(slots(at(LOG_TEXTS.en, key)))
    for (const text of [english, chinese]) expect(text.t(key), key).not.toBe(key)
  }
})

test('a gap says how much is left out, as far as that is known', () => {
  const text = createText('en')
  text.mergeLocaleMessage('en', LOG_TEXTS.en)
  expect(gapText(text, { lines: 98, characters: 83_000_000 })).toBe('… 83 MB left out (98 lines)')
  expect(gapText(text, { lines: 98, characters: null })).toBe('… 98 lines left out')
  expect(gapText(text, { lines: 1, characters: null })).toBe('… 1 line left out')
})

test('numbers are written as the language writes them', () => {
  for (const [locale, wanted] of [['en', '20,004 lines'], ['zh', '20,004 行']] as const) {
    const text = createText(locale)
    text.mergeLocaleMessage(locale, LOG_TEXTS[locale])
    expect(countText(text, 'log.lines', 20_004)).toBe(wanted)
  }
})
