import { describe, expect, test } from 'vitest'
import type { LogLine } from './line'
import { KIND, LogStore, LONGEST_SHOWN, shownText } from './log-store'
import { ALL, RowMap, type RowOptions } from './row-map'
import { LogSearch, matchesIn, toRegExp } from './search'
import { VirtualScroll } from './virtual-scroll'

const AT = '2026-11-26T02:30:00.123Z'
const line = (seq: number, text: string, more: Partial<LogLine> = {}): LogLine => ({
  seq, at: AT, level: 'info', stream: 'stdout', text, ...more,
})
const storeOf = (texts: readonly (string | Partial<LogLine>)[], first = 1) => {
  const store = new LogStore()
  texts.forEach((text, index) =>
    store.append(typeof text === 'string' ? line(first + index, text) : line(first + index, '', text)),
  )
  return store
}
const numbered = (count: number, first = 1) => storeOf(Array.from({ length: count }, (_, index) => `line ${first + index}`), first)
const PLAIN: RowOptions = { filter: ALL, collapsed: new Set(), columns: null }
const rowsOf = (store: LogStore, options: Partial<RowOptions> = {}) => {
  const rows = new RowMap(store)
  rows.reset({ ...PLAIN, ...options })
  return rows
}
const shown = (rows: RowMap, store: LogStore) =>
  Array.from({ length: rows.length }, (_, position) => store.text(rows.index(position)))

describe('the store', () => {
  test('gives back each line over many chunks', () => {
    const store = numbered(5000)
    for (const index of [0, 1023, 1024, 2500, 4999]) {
      expect(store.text(index)).toBe(`line ${index + 1}`)
      expect(store.seq(index)).toBe(index + 1)
    }
    expect(store.time(17)).toBe(Date.parse(AT))
    expect(() => store.text(5000)).toThrow(RangeError)
  })

  test('keeps level, stream and text as they came', () => {
    const store = storeOf([{ level: 'error', stream: 'stderr', text: '\x1b[31mno\x1b[0m' }, { level: 'debug', stream: 'log' }])
    expect([store.level(0), store.stream(0), store.text(0)]).toEqual(['error', 'stderr', '\x1b[31mno\x1b[0m'])
    expect([store.level(1), store.stream(1)]).toEqual(['debug', 'log'])
  })

  test('finds lines by number across a gap', () => {
    const store = numbered(12)
    store.appendGap({ after: 12, before: 100, lines: 87, characters: 83_000_000 })
    store.append(line(100, 'tail'))
    expect(store.kind(12)).toBe(KIND.gap)
    expect(store.gap(12)?.characters).toBe(83_000_000)
    expect(store.indexOf(12)).toBe(11)
    expect(store.indexOf(50)).toBe(12)
    expect(store.indexOf(100)).toBe(13)
    expect(store.indexOf(101)).toBe(14)
  })

  test('takes earlier lines in front', () => {
    const store = numbered(1500, 3001)
    store.prepend(numbered(3000))
    expect(store.epoch).toBe(1)
    expect([store.firstSeq, store.lastSeq, store.length]).toEqual([1, 4500, 4500])
    for (const index of [0, 2999, 3000, 4499]) expect(store.text(index)).toBe(`line ${index + 1}`)
    store.append(line(4501, 'more'))
    expect(store.text(4500)).toBe('more')
  })

  test('gives up the oldest lines beyond its limit', () => {
    const store = new LogStore(100_000)
    for (let seq = 1; seq <= 20_000; seq++) store.append(line(seq, 'x'.repeat(10)))
    expect(store.characters).toBeLessThanOrEqual(100_000)
    expect(store.dropped).toBe(20_000 - store.length)
    expect(store.lastSeq).toBe(20_000)
    expect(store.firstSeq).toBe(store.dropped + 1)
    expect(store.epoch).toBeGreaterThan(0)
  })

  test('a line of ten million characters is drawn cut', () => {
    const store = storeOf(['x'.repeat(10_000_000)])
    expect(store.text(0)).toHaveLength(10_000_000)
    expect(store.width(0)).toBe(LONGEST_SHOWN)
    expect(shownText(store.text(0))).toHaveLength(LONGEST_SHOWN)
  })
})

describe('rows', () => {
  test('of lines that are not wrapped', () => {
    const rows = rowsOf(numbered(3000))
    expect([rows.rows, rows.rowOf(2000), rows.positionAt(1999.5)]).toEqual([3000, 2000, 1999])
  })

  test('of wrapped lines', () => {
    const texts = Array.from({ length: 2000 }, (_, index) => 'x'.repeat(index % 100))
    const rows = rowsOf(storeOf(texts), { columns: 30 })
    let row = 0
    texts.forEach((text, position) => {
      expect(rows.rowOf(position)).toBe(row)
      expect(rows.positionAt(row)).toBe(position)
      row += Math.max(1, Math.ceil(text.length / 30))
      expect(rows.positionAt(row - 1)).toBe(position)
    })
    expect(rows.rows).toBe(row)
  })

  test('a measured height moves the rows after it', () => {
    const rows = rowsOf(numbered(1000), { columns: 40 })
    expect(rows.measure(100, 3)).toBe(true)
    expect(rows.measure(100, 3)).toBe(false)
    expect([rows.rows, rows.rowOf(101), rows.rowOf(900), rows.positionAt(102)]).toEqual([1002, 103, 902, 100])
  })

  test('filters by level and stream', () => {
    const store = storeOf([
      { level: 'debug', text: 'a' }, { level: 'error', text: 'b' }, { level: 'error', stream: 'stderr', text: 'c' }, { level: 'info', text: 'd' },
    ])
    expect(shown(rowsOf(store, { filter: { levels: 8, streams: 7 } }), store)).toEqual(['b', 'c'])
    expect(shown(rowsOf(store, { filter: { levels: 15, streams: 4 } }), store)).toEqual(['c'])
  })

  test('grow with the store, and start again when indexes move', () => {
    const store = numbered(10, 101)
    const rows = rowsOf(store)
    store.append(line(111, 'next'))
    rows.extend()
    expect(rows.length).toBe(11)
    store.prepend(numbered(100))
    rows.extend()
    expect(shown(rows, store).slice(99, 102)).toEqual(['line 100', 'line 101', 'line 102'])
  })
})

describe('groups', () => {
  const NESTED = ['a', '::group::Build', 'b', '::group::Compile', 'c', '::endgroup::', 'd', '::endgroup::', 'e']

  test('are titles with their lines below', () => {
    const store = storeOf(NESTED)
    const rows = rowsOf(store)
    expect(shown(rows, store)).toEqual(['a', '::group::Build', 'b', '::group::Compile', 'c', 'd', 'e'])
    expect([0, 1, 2, 3, 4, 5, 6].map((position) => rows.depth(position))).toEqual([0, 0, 1, 1, 2, 1, 0])
    expect(rows.group(1)).toMatchObject({ lines: 3 })
  })

  test('hide their lines when closed, with nested groups', () => {
    const store = storeOf(NESTED)
    expect(shown(rowsOf(store, { collapsed: new Set([2]) }), store)).toEqual(['a', '::group::Build', 'e'])
    expect(shown(rowsOf(store, { collapsed: new Set([4]) }), store)).toEqual(['a', '::group::Build', 'b', '::group::Compile', 'd', 'e'])
    expect(rowsOf(store, { collapsed: new Set([2, 4]) }).closedAround(4)).toEqual([2, 4])
    expect(rowsOf(store, { collapsed: new Set([2]) }).closedAround(8)).toEqual([])
  })

  test('count errors and warnings, for when they are closed', () => {
    const store = storeOf(['::group::T', { level: 'error' }, { level: 'warning' }, { level: 'error' }])
    expect(rowsOf(store, { collapsed: new Set([1]) }).group(0)).toMatchObject({ errors: 2, warnings: 1, lines: 3 })
  })

  test('without an end last to the end, and an end without a group ends nothing', () => {
    const store = storeOf(['::endgroup::', 'a', '::group::T', 'b'])
    const rows = rowsOf(store, { collapsed: new Set([3]) })
    store.append(line(5, 'c'))
    rows.extend()
    expect(shown(rows, store)).toEqual(['a', '::group::T'])
  })

  test('show their title with a filter only where something of them is shown', () => {
    const store = storeOf(['::group::A', 'x', '::endgroup::', '::group::B', { level: 'error', text: 'bad' }, '::endgroup::'])
    expect(shown(rowsOf(store, { filter: { levels: 8, streams: 7 } }), store)).toEqual(['::group::B', 'bad'])
  })
})

describe('search', () => {
  const search = async (store: LogStore, text: string, more = {}, passes: (mark: number) => boolean = () => true) => {
    const pattern = toRegExp({ text, isRegex: false, isCaseSensitive: false, ...more })
    const found = new LogSearch(store, pattern as RegExp, passes, () => undefined)
    await found.run()
    return found
  }
  const texts = (found: LogSearch, store: LogStore) =>
    Array.from({ length: found.count }, (_, number) => store.text(found.index(number)))

  test('finds text in any case, or in this one', async () => {
    const store = storeOf(['Error: no', 'an error', 'fine (a.b)', 'aXb'])
    expect((await search(store, 'error')).count).toBe(2)
    expect((await search(store, 'Error', { isCaseSensitive: true })).count).toBe(1)
    expect(texts(await search(store, 'a.b'), store)).toEqual(['fine (a.b)'])
    expect((await search(store, 'a.b', { isRegex: true })).count).toBe(2)
    expect((await search(store, 'x*', { isRegex: true })).count).toBe(1)
  })

  test('finds what is seen, not how it is coloured', async () => {
    const store = storeOf(['\x1b[31mfa\x1b[1miled\x1b[0m', '[31m'])
    expect((await search(store, 'failed')).count).toBe(1)
    expect((await search(store, '31m')).count).toBe(1)
  })

  test('a bad expression is refused', () => {
    expect(() => toRegExp({ text: '(', isRegex: true, isCaseSensitive: false })).toThrow(SyntaxError)
    expect(toRegExp({ text: '(', isRegex: false, isCaseSensitive: false })?.source).toBe(String.raw`\(`)
    expect(toRegExp({ text: '', isRegex: true, isCaseSensitive: false })).toBeNull()
  })

  test('all places in a line', () => {
    expect(matchesIn(/a|$/g, 'banana')).toEqual([[1, 2], [3, 4], [5, 6]])
  })

  test('goes on with added lines, and starts again when earlier ones come', async () => {
    const store = numbered(2000, 1001)
    const found = await search(store, 'line 2000')
    expect([found.count, found.index(0)]).toEqual([1, 999])
    store.append(line(3001, 'line 2000 again'))
    await found.run()
    expect(found.count).toBe(2)
    store.prepend(numbered(1000))
    await found.run()
    expect([found.count, found.index(0)]).toEqual([2, 1999])
    expect([found.from(0), found.from(2000), found.from(3001)]).toEqual([0, 1, 0])
  })
})

describe('the scroll', () => {
  test('of a list that fits is the box’s', () => {
    const scroll = new VirtualScroll(1_000_000)
    scroll.resize(50_000, 600)
    scroll.scrolled(1234)
    expect([scroll.top, scroll.position, scroll.height, scroll.isAstray]).toEqual([1234, 1234, 50_000, false])
    scroll.moveTo(Infinity)
    expect([scroll.top, scroll.isAtEnd]).toEqual([49_400, true])
  })

  test('of a longer one moves by pixels, and jumps by share', () => {
    const scroll = new VirtualScroll(1_000_000)
    scroll.resize(20_000_000, 600)
    scroll.scrolled(100)
    expect(scroll.top).toBe(100)
    scroll.scrolled(500_000)
    expect(scroll.top / scroll.maxTop).toBeCloseTo(500_000 / (1_000_000 - 600))
    scroll.scrolled(999_400)
    expect(scroll.isAtEnd).toBe(true)
  })

  test('every pixel can be reached: the bar is put right at its ends', () => {
    const scroll = new VirtualScroll(100_000)
    scroll.resize(20_000_000, 600)
    scroll.moveTo(10_000)
    const box = scroll.position
    expect(box).toBeLessThan(100)
    scroll.scrolled(0)
    expect([scroll.top, scroll.isStuck]).toEqual([10_000 - box, true])
    scroll.moveTo(scroll.top)
    expect(scroll.isStuck).toBe(false)
    while (scroll.top > 0) {
      scroll.scrolled(Math.max(0, scroll.position - 120))
      if (scroll.isStuck) scroll.moveTo(scroll.top)
    }
    expect(scroll.position).toBe(0)
  })
})
