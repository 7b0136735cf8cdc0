/** 0 to 255 of the palette; from RGB on, a true colour. */
export type Colour = number
export const RGB = 0x1000000

export interface Style {
  foreground: Colour | null
  background: Colour | null
  bold: boolean
  dim: boolean
  italic: boolean
  underline: boolean
  strike: boolean
  inverse: boolean
}

/** A part of a line's visible text in one style; null is the plain one. */
export interface Span {
  text: string
  style: Style | null
}

// Built from a text, since a literal may not hold control characters: CSI, OSC, DCS and its kin, short sequences, lone controls.
const SEQUENCES = new RegExp(
  [
    String.raw`\x1b\[([0-?]*)[ -/]*([@-~])`,
    String.raw`\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?`,
    String.raw`\x1b[PX^_][^\x1b]*(?:\x1b\\)?`,
    String.raw`\x1b[ -/]*[0-~]?`,
    String.raw`[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f]`,
  ].join('|'),
  'g',
)
const NOT_PLAIN = /[^ -~]/
const PLAIN: Style = {
  foreground: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
}

/** Printable ASCII only: each character is one column. */
export function isPlain(text: string): boolean {
  return !NOT_PLAIN.test(text)
}

/** A carriage return writes over what was there: what a progress bar showed last is what counts. */
function afterReturn(raw: string): string {
  if (!raw.includes('\r')) return raw
  const text = raw.replace(/\r+$/, '')
  return text.slice(text.lastIndexOf('\r') + 1)
}

/** The text without escape sequences and control characters. */
export function visibleText(raw: string): string {
  return isPlain(raw) ? raw : afterReturn(raw).replace(SEQUENCES, '')
}

/** The visible text in parts of one style each. Each line starts plain. */
export function parseAnsi(raw: string): Span[] {
  if (isPlain(raw)) return [{ text: raw, style: null }]
  const text = afterReturn(raw)
  const spans: Span[] = []
  let style: Style | null = null
  let from = 0
  const push = (to: number) => {
    if (to <= from) return
    const part = text.slice(from, to)
    const last = spans.at(-1)
    if (last && last.style === style) last.text += part
    else spans.push({ text: part, style })
  }
  for (const found of text.matchAll(SEQUENCES)) {
    push(found.index)
    from = found.index + found[0].length
    if (found[2] === 'm' && !found[1]?.startsWith('?')) style = applied(style, found[1] ?? '')
  }
  push(text.length)
  return spans
}

function applied(before: Style | null, parameters: string): Style | null {
  const style: Style = { ...(before ?? PLAIN) }
  const codes = parameters.split(';')
  while (codes.length) {
    const code = codes.shift() as string
    if (code.includes(':')) applyColons(style, code.split(':'))
    else applyCode(style, Number(code), codes)
  }
  return isSame(style, PLAIN) ? null : style
}

function isSame(one: Style, other: Style): boolean {
  return (Object.keys(one) as (keyof Style)[]).every((key) => one[key] === other[key])
}

/** `38:5:n`, `38:2::r:g:b`, `4:3` */
function applyColons(style: Style, [code, kind, ...rest]: string[]): void {
  if (code === '4') style.underline = kind !== '0'
  if (code !== '38' && code !== '48') return
  const colour = kind === '5' ? palette(rest[0]) : kind === '2' ? trueColour(rest.slice(-3)) : null
  style[code === '38' ? 'foreground' : 'background'] = colour
}

function applyCode(style: Style, code: number, rest: string[]): void {
  if (code >= 30 && code <= 37) style.foreground = code - 30
  else if (code >= 40 && code <= 47) style.background = code - 40
  else if (code >= 90 && code <= 97) style.foreground = code - 82
  else if (code >= 100 && code <= 107) style.background = code - 92
  else if (code === 38) style.foreground = takeColour(rest)
  else if (code === 48) style.background = takeColour(rest)
  else if (code === 39) style.foreground = null
  else if (code === 49) style.background = null
  else if (code === 0) Object.assign(style, PLAIN)
  else if (code === 1) style.bold = true
  else if (code === 2) style.dim = true
  else if (code === 22) style.bold = style.dim = false
  else if (code === 3 || code === 23) style.italic = code === 3
  else if (code === 4 || code === 21 || code === 24) style.underline = code !== 24
  else if (code === 7 || code === 27) style.inverse = code === 7
  else if (code === 9 || code === 29) style.strike = code === 9
}

function takeColour(rest: string[]): Colour | null {
  const kind = rest.shift()
  if (kind === '5') return palette(rest.shift())
  return kind === '2' ? trueColour(rest.splice(0, 3)) : null
}

function palette(number: string | undefined): Colour | null {
  const colour = Number(number ?? NaN)
  return Number.isInteger(colour) && colour >= 0 && colour <= 255 ? colour : null
}

function trueColour(parts: string[]): Colour | null {
  const [red, green, blue] = parts.map((part) => palette(part || '0'))
  if (red == null || green == null || blue == null) return null
  return RGB + red * 65536 + green * 256 + blue
}
