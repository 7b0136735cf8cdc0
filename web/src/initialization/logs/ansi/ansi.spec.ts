import { describe, expect, test } from 'vitest'
import { parseAnsi, RGB, visibleText, type Style } from './ansi'
import { coloursIn, contrast, cssOf } from './colours'
import { columnsOf } from './columns'
import { toPieces, withLinks } from './pieces'

const style = (raw: string) => parseAnsi(raw).find(({ text }) => text === 'x')?.style
const ESC = '\x1b['

describe('the colours of a line', () => {
  test.each<[string, Partial<Style> | null]>([
    [`${ESC}31mx`, { foreground: 1 }],
    [`${ESC}97;41mx`, { foreground: 15, background: 1 }],
    [`${ESC}104mx`, { background: 12 }],
    [`${ESC}38;5;208mx`, { foreground: 208 }],
    [`${ESC}48;5;16;1mx`, { background: 16, bold: true }],
    [`${ESC}38;2;255;128;0mx`, { foreground: RGB + 0xff8000 }],
    [`${ESC}38:2::255:128:0mx`, { foreground: RGB + 0xff8000 }],
    [`${ESC}38:5:9mx`, { foreground: 9 }],
    [`${ESC}38;5;999mx`, null],
    [`${ESC}1;2;3;4;7;9mx`, { bold: true, dim: true, italic: true, underline: true, inverse: true, strike: true }],
    [`${ESC}4:3mx`, { underline: true }],
    [`${ESC}1;4;31m${ESC}22;24;39mx`, null],
    [`${ESC}31m${ESC}0mx`, null],
    [`${ESC}31m${ESC}mx`, null],
  ])('%j', (raw, wanted) => {
    const found = style(raw)
    if (wanted === null) expect(found).toBeNull()
    else expect(found).toMatchObject(wanted)
  })

  test('what is no colour is not shown', () => {
    expect(visibleText(`${ESC}2K${ESC}1Gdone${ESC}?25h`)).toBe('done')
    expect(visibleText('\x1b]8;;https://example.com\x07link\x1b]8;;\x07')).toBe('link')
    expect(visibleText('\x1b]0;title\x1b\\text\x1b(B\x00\b')).toBe('text')
    expect(visibleText('end\x1b[31')).toBe('end31')
  })

  test('of a progress bar the last state is shown', () => {
    expect(visibleText('10 %\r50 %\r100 %\r')).toBe('100 %')
    expect(parseAnsi(`10 %\r${ESC}32m100 %${ESC}0m`)).toMatchObject([{ text: '100 %', style: { foreground: 2 } }])
  })

  test('the parts together are the visible text', () => {
    const raw = `a${ESC}31mb\tc${ESC}0m d${ESC}K 漢字`
    expect(parseAnsi(raw).map(({ text }) => text).join('')).toBe(visibleText(raw))
  })
})

describe('every colour can be read in both themes', () => {
  const plain: Style = {
    foreground: null, background: null, bold: false, dim: false, italic: false, underline: false, strike: false, inverse: false,
  }
  const colours = [...Array.from({ length: 256 }, (_, index) => index), RGB, RGB + 0xffffff, RGB + 0x808080, RGB + 0xffff00]
  const grounds = { light: ['ffffff', 'fdeeee', 'fdf3df', 'e9effd', 'f3f4f6'], dark: ['14161a', '331718', '2e2413', '1a2440', '1b1e24'] }
  const rgb = (hex: string) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as [number, number, number]

  test.each(['light', 'dark'] as const)('%s', (theme) => {
    for (const foreground of colours) {
      for (const more of [{}, { dim: true }]) {
        const { text } = coloursIn(theme, { ...plain, foreground, ...more })
        for (const ground of grounds[theme]) expect(contrast(text ?? [0, 0, 0], rgb(ground)), `${foreground} on ${ground}`).toBeGreaterThan(4.45)
      }
      for (const more of [{ background: foreground }, { background: foreground, foreground: 1 }, { foreground, inverse: true }]) {
        const found = coloursIn(theme, { ...plain, ...more })
        expect(contrast(found.text ?? [0, 0, 0], found.ground ?? [0, 0, 0])).toBeGreaterThan(4.45)
      }
    }
  })

  test('as CSS', () => {
    const css = cssOf({ ...plain, foreground: 1, bold: true, underline: true })
    expect(css).toMatchObject({ fontWeight: '700', textDecorationLine: 'underline' })
    expect(css.color).toMatch(/^light-dark\(rgb\(\d+ \d+ \d+\), rgb\(\d+ \d+ \d+\)\)$/)
  })
})

test.each([
  ['abc', 3], ['a\tb', 9], ['漢字', 4], ['e\u0301', 1], ['✓ ok', 4], ['│ ├──', 5], ['🎉', 2],
])('%j takes %d columns', (text, columns) => {
  expect(columnsOf(text)).toBe(columns)
})

test('a match across colours is cut where the colour changes', () => {
  const spans = parseAnsi(`an ${ESC}31mer${ESC}0mror here`)
  const pieces = toPieces(spans, [[3, 8]])
  expect(pieces.map(({ text, found }) => [text, found])).toEqual([
    ['an ', false], ['er', true], ['ror', true], [' here', false],
  ])
})

const linksIn = (raw: string, isCut = false) =>
  withLinks(toPieces(parseAnsi(raw), []), isCut).filter(({ href }) => href).map(({ text, href }) => [text, href])

test.each<[string, string[]]>([
  ['see https://a.example/b?c=1#d, please', ['https://a.example/b?c=1#d']],
  ['(http://a.example:8080/x).', ['http://a.example:8080/x']],
  ['"https://a.example/" and <HTTPS://b.example>', ['https://a.example/', 'HTTPS://b.example']],
  ['https://en.example/wiki/A_(b)', ['https://en.example/wiki/A_(b)']],
  ['请访问https://a.example/b，然后继续', ['https://a.example/b']],
  ['javascript:alert(1) file:///etc/passwd ssh://a.example data:text/html,x //a.example a.example', []],
  ['http:// https://.', []],
])('of %j only web addresses are links', (raw, addresses) => {
  expect(linksIn(raw)).toEqual(addresses.map((address) => [address, address]))
})

test('a web address in two colours leads to the same page, one that is cut to none', () => {
  const href = 'https://a.example/build/7'
  expect(linksIn(`at https://a.example/${ESC}1mbuild/7${ESC}0m now`)).toEqual([['https://a.example/', href], ['build/7', href]])
  expect(linksIn(`at ${href}`, true)).toEqual([])
  expect(withLinks(toPieces(parseAnsi(`at ${href} now`), [])).map(({ text }) => text)).toEqual(['at ', href, ' now'])
})
