import type { LocalizedText } from '@/api/types'
import { toLocale, type Locale } from './text'

type Unit = 'millisecond' | 'second' | 'minute' | 'hour' | 'day' | 'kilobyte'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

// Not Intl.NumberFormat: it takes 20 ms to load, which delays the first steps, and its Chinese has no space.
const UNITS: Record<Locale, Record<Unit, string>> = {
  en: { millisecond: 'ms', second: 's', minute: 'min', hour: 'h', day: 'd', kilobyte: 'kB' },
  zh: { millisecond: '毫秒', second: '秒', minute: '分钟', hour: '小时', day: '天', kilobyte: 'kB' },
}

function withUnit(locale: string, amount: number, unit: Unit): string {
  return `${amount} ${UNITS[toLocale(locale)][unit]}`
}

function parts(locale: string, ...amounts: [number, Unit][]): string {
  return amounts
    .filter(([amount], index) => amount > 0 || index === 0)
    .map(([amount, unit]) => withUnit(locale, amount, unit))
    .join(' ')
}

/** `420 ms`, `4.2 s`, `1 min 20 s`, `2 h 5 min`, `3 d 2 h`: at most two units. */
export function formatDuration(ms: number, locale: string): string {
  const time = Math.max(0, ms)
  if (time < SECOND) return withUnit(locale, Math.round(time), 'millisecond')
  if (time < 9950) return withUnit(locale, Math.round(time / 100) / 10, 'second')
  return formatWhole(time, locale)
}

/** Like formatDuration, in whole seconds, for times that tick. */
export function formatWhole(ms: number, locale: string): string {
  const time = Math.round(Math.max(0, ms) / SECOND) * SECOND
  if (time < MINUTE) return parts(locale, [time / SECOND, 'second'])
  const minutes = Math.floor(time / MINUTE)
  if (time < HOUR) return parts(locale, [minutes, 'minute'], [(time % MINUTE) / SECOND, 'second'])
  if (time < DAY) return parts(locale, [Math.floor(time / HOUR), 'hour'], [minutes % 60, 'minute'])
  return parts(locale, [Math.floor(time / DAY), 'day'], [Math.floor((time % DAY) / HOUR), 'hour'])
}

/** An estimate, rounded to its precision. */
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

/** The time in the reader's time zone, with the date if that is another day than the one of `now`. */
export function formatMoment(at: number, now: number, locale: string): string {
  const iso = new Date(at).toISOString()
  const isToday = new Date(at).toDateString() === new Date(now).toDateString()
  return isToday ? formatClock(iso, locale) : formatDateTime(iso, locale)
}

export function formatDay(iso: string, locale: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'full' }).format(new Date(iso))
}

/** `3 minutes ago`, `3 分钟前`; empty below ten seconds, where a word for "now" reads better. */
export function formatAgo(ms: number, locale: string): string {
  if (ms < 10 * SECOND) return ''
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' })
  const say = (size: number, unit: Intl.RelativeTimeFormatUnit) => spaced(relative.format(-Math.round(ms / size), unit))
  if (ms < MINUTE) return say(SECOND, 'second')
  if (ms < HOUR) return say(MINUTE, 'minute')
  if (ms < DAY) return say(HOUR, 'hour')
  return say(DAY, 'day')
}

/** Puts a space between a number and the Chinese unit after it, as in all other times. */
function spaced(text: string): string {
  return text.replace(/(\d)(?=\p{Script=Han})/gu, '$1 ')
}

/** `a, b, and c`; `a、b和c`. */
export function formatList(items: readonly string[], locale: string): string {
  return new Intl.ListFormat(locale).format(items)
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
