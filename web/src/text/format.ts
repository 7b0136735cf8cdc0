import type { LocalizedText } from '@/api/types'
import { toLocale, type Locale } from './text'

type Unit = 'millisecond' | 'second' | 'minute' | 'hour' | 'day' | 'kilobyte'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

// Intl.NumberFormat would say the same, but takes 20 ms to load, just when the first steps are to be seen.
const UNITS: Record<Locale, Record<Unit, string>> = {
  en: { millisecond: 'ms', second: 's', minute: 'm', hour: 'h', day: 'd', kilobyte: 'kB' },
  zh: { millisecond: '毫秒', second: '秒', minute: '分钟', hour: '小时', day: '天', kilobyte: 'kB' },
}

function withUnit(locale: string, amount: number, unit: Unit): string {
  return `${amount}${UNITS[toLocale(locale)][unit]}`
}

function parts(locale: string, ...amounts: [number, Unit][]): string {
  return amounts
    .filter(([amount], index) => amount > 0 || index === 0)
    .map(([amount, unit]) => withUnit(locale, amount, unit))
    .join(' ')
}

/** 420 ms, 4.2 s, 1 min 20 s, 2 h 5 min, 3 d 2 h: two units at most. */
export function formatDuration(ms: number, locale: string): string {
  const time = Math.max(0, ms)
  if (time < SECOND) return withUnit(locale, Math.round(time), 'millisecond')
  if (time < 9950) return withUnit(locale, Math.round(time / 100) / 10, 'second')
  return formatWhole(time, locale)
}

/** As formatDuration, in whole seconds: for times that tick. */
export function formatWhole(ms: number, locale: string): string {
  const time = Math.round(Math.max(0, ms) / SECOND) * SECOND
  if (time < MINUTE) return parts(locale, [time / SECOND, 'second'])
  const minutes = Math.floor(time / MINUTE)
  if (time < HOUR) return parts(locale, [minutes, 'minute'], [(time % MINUTE) / SECOND, 'second'])
  if (time < DAY) return parts(locale, [Math.floor(time / HOUR), 'hour'], [minutes % 60, 'minute'])
  return parts(locale, [Math.floor(time / DAY), 'day'], [Math.floor((time % DAY) / HOUR), 'hour'])
}

/** A time that is only about right, rounded so that it does not pretend to more. */
export function formatRough(ms: number, locale: string): string {
  const step = ms < 20 * SECOND ? SECOND : ms < 2 * MINUTE ? 5 * SECOND : ms < HOUR ? MINUTE : 10 * MINUTE
  return formatWhole(Math.max(SECOND, Math.round(ms / step) * step), locale)
}

export function formatClock(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { timeStyle: 'medium' }).format(new Date(iso))
}

export function formatDateTime(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(iso))
}

export function formatDay(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'full' }).format(new Date(iso))
}

/** "3 minutes ago"; empty below ten seconds, where a word for "now" reads better. */
export function formatAgo(ms: number, locale: string): string {
  if (ms < 10 * SECOND) return ''
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  if (ms < MINUTE) return relative.format(-Math.round(ms / SECOND), 'second')
  if (ms < HOUR) return relative.format(-Math.round(ms / MINUTE), 'minute')
  if (ms < DAY) return relative.format(-Math.round(ms / HOUR), 'hour')
  return relative.format(-Math.round(ms / DAY), 'day')
}

export function formatSize(characters: number, locale: string): string {
  const kilobytes = Math.max(1, Math.round(characters / 1000))
  return withUnit(locale, kilobytes, 'kilobyte')
}

/** The text in this language, else in English, else in any. */
export function localized(text: LocalizedText | null | undefined, locale: string): string {
  if (text === null || text === undefined) return ''
  if (typeof text === 'string') return text
  return text[locale] ?? text.en ?? Object.values(text)[0] ?? ''
}
