import { RGB, type Colour, type Style } from './ansi'

type Rgb = readonly [number, number, number]

/** The sixteen colours that themes define, as text on a light and on a dark ground. */
const NAMED = {
  light:
    '24292f c0262d 157347 8a5300 2b59d9 8a2cb0 0b6b7a 5b616e 5b616e a40e26 0f6b3a 6b4300 1f46b8 7a1fa2 085a68 16181d',
  dark: '8b919d ff8b88 56c98b eab95c 86a8ff d9a0f2 6fd0de d6d9e0 a1a7b3 ffa8a4 7fe0ab f5d184 a9c2ff e6bcf8 9be4ee ffffff',
  /** as a ground, the same in both themes */
  ground:
    '000000 c0262d 157347 c48a1a 2b59d9 8a2cb0 0b7a8c d6d9e0 5b616e ff8b88 56c98b f5d184 86a8ff d9a0f2 6fd0de ffffff',
}
/** The strongest of the grounds that a line can have, so that a colour is readable on all of them. */
const GROUND: Record<Theme, Rgb> = { light: rgb('e9effd'), dark: rgb('2e2413') }
const INK: Record<Theme, Rgb> = { light: rgb('16181d'), dark: rgb('eceef2') }
const READABLE = 4.5

type Theme = 'light' | 'dark'

function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex, 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

function luminance([red, green, blue]: Rgb): number {
  const linear = (part: number) => {
    const share = part / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

export function contrast(one: Rgb, other: Rgb): number {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (high + 0.05) / (low + 0.05)
}

function mixed(one: Rgb, other: Rgb, share: number): Rgb {
  return one.map((part, index) => Math.round(part + ((other[index] ?? 0) - part) * share)) as unknown as Rgb
}

/** The colour itself where it can be read, else the nearest one towards black or white that can. */
export function readable(colour: Rgb, ground: Rgb): Rgb {
  const white: Rgb = [255, 255, 255]
  const black: Rgb = [0, 0, 0]
  const end = contrast(white, ground) > contrast(black, ground) ? white : black
  for (let share = 0; share < 1; share += 0.1) {
    const tried = mixed(colour, end, share)
    if (contrast(tried, ground) >= READABLE) return tried
  }
  return end
}

function rgbOf(colour: Colour, kind: keyof typeof NAMED): Rgb {
  if (colour >= RGB) return [(colour >> 16) & 255, (colour >> 8) & 255, colour & 255]
  if (colour < 16) return rgb(NAMED[kind].split(' ')[colour] ?? '0')
  if (colour >= 232) return [1, 1, 1].map((one) => one * (8 + 10 * (colour - 232))) as unknown as Rgb
  const cube = [0, 95, 135, 175, 215, 255]
  const place = colour - 16
  return [cube[Math.floor(place / 36)] ?? 0, cube[Math.floor(place / 6) % 6] ?? 0, cube[place % 6] ?? 0]
}

/** The text's and the ground's colour in one theme; absent where they are the line's own. */
export function coloursIn(theme: Theme, style: Style): { text?: Rgb; ground?: Rgb } {
  let text = style.foreground === null ? null : rgbOf(style.foreground, theme)
  let ground = style.background === null ? null : rgbOf(style.background, 'ground')
  if (style.inverse) [text, ground] = [ground ?? GROUND[theme], text ?? INK[theme]]
  if (style.dim) text = mixed(text ?? INK[theme], ground ?? GROUND[theme], 0.4)
  if (ground) return { ground, text: readable(text ?? INK[theme], ground) }
  return text ? { text: readable(text, GROUND[theme]) } : {}
}

const css = (colour: Rgb) => `rgb(${colour.join(' ')})`
const both = (light: Rgb | undefined, dark: Rgb | undefined) =>
  light && dark ? `light-dark(${css(light)}, ${css(dark)})` : ''

const known = new Map<string, Record<string, string>>()

/** The style as CSS, readable in both themes. */
export function cssOf(style: Style): Record<string, string> {
  const key = Object.values(style).join()
  const found = known.get(key)
  if (found) return found
  const [light, dark] = [coloursIn('light', style), coloursIn('dark', style)]
  const lines = [style.underline && 'underline', style.strike && 'line-through'].filter(Boolean).join(' ')
  const made = Object.fromEntries(
    Object.entries({
      color: both(light.text, dark.text),
      backgroundColor: both(light.ground, dark.ground),
      fontWeight: style.bold ? '700' : '',
      fontStyle: style.italic ? 'italic' : '',
      textDecorationLine: lines,
    }).filter(([, value]) => value),
  )
  if (known.size > 5_000) known.clear()
  known.set(key, made)
  return made
}
