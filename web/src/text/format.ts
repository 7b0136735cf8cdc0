import type { LocalizedText } from '@/api/types'

type Unit = 'second' | 'minute' | 'hour' | 'day'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

const formats = new Map<string, Intl.NumberFormat>()

function numberFormat(locale: string, unit: string, digits: number): Intl.NumberFormat {
  const key = `${locale} ${unit} ${digits}`
  const known = formats.get(key)
  if (known) return known
  const created = new Intl.NumberFormat(locale, {
    style: 'unit',
    unit,
    unitDisplay: locale === 'en' ? 'narrow' : 'short',
    maximumFractionDigits: digits,
  })
  formats.set(key, created)
  return created
}

function parts(locale: string, ...amounts: [number, Unit][]): string {
  return amounts
    .filter(([amount], index) => amount > 0 || index === 0)
    .map(([amount, unit]) => numberFormat(locale, unit, 0).format(amount))
    .join(' ')
}

/** 420 ms, 4.2 s, 1 min 20 s, 2 h 5 min, 3 d 2 h: two units at most. */
export function formatDuration(ms: number, locale: string): string {
  const time = Math.max(0, ms)
  if (time < SECOND) return numberFormat(locale, 'millisecond', 0).format(time)
  if (time < 9950) return numberFormat(locale, 'second', 1).format(time / SECOND)
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
  return numberFormat(locale, 'kilobyte', 0).format(kilobytes)
}

/** The text in this language, else in English, else in any. */
export function localized(text: LocalizedText | null | undefined, locale: string): string {
  if (text === null || text === undefined) return ''
  if (typeof text === 'string') return text
  return text[locale] ?? text.en ?? Object.values(text)[0] ?? ''
}
