import { parseAnsi } from './ansi/ansi'
import { toPieces, withLinks, type Piece } from './ansi/pieces'
import { isPlain } from './ansi/ansi'
import type { Level, LogGap, Stream } from './store/line'
import { groupTitle, KIND, LONGEST_SHOWN, shownText } from './store/log-store'
import type { Group } from './store/row-map'
import { matchesIn } from './store/search'
import type { Pane } from './use-pane'

/** All that is drawn of one line. */
export interface ShownRow {
  /** changes when the row is to be drawn again */
  key: string
  seq: number
  position: number
  /** rows that it takes */
  height: number
  depth: number
  level: Level
  stream: Stream
  time: number
  pieces: Piece[]
  /** characters that are not drawn */
  cut: number
  /** characters in the middle were not kept */
  isMiddleGone: boolean
  /** its height is to be measured */
  isUneven: boolean
  isSelected: boolean
  isHit: boolean
  gap: LogGap | undefined
  group: Group | undefined
}

/** As `line_of` of the recorder writes it. */
const MIDDLE_GONE = /… \d+ characters left out …/
const LONG = 4 * LONGEST_SHOWN

/** Makes the rows that are drawn, and keeps those that are drawn again. */
export class ShownRows {
  private kept = new Map<number, ShownRow>()

  constructor(private readonly pane: Pane) {}

  /** The lines from a position on that take at least so many rows. */
  take(from: number, rowCount: number): ShownRow[] {
    const { rows, store } = this.pane
    const taken: ShownRow[] = []
    const next = new Map<number, ShownRow>()
    let height = 0
    for (let position = from; position < rows.length && height < rowCount; position++) {
      const index = rows.index(position)
      const seq = store.seq(index)
      const kept = this.kept.get(seq)
      const key = this.keyOf(index, seq, position)
      const row = kept?.key === key ? kept : this.make(index, seq, position, key)
      next.set(seq, row)
      taken.push(row)
      height += row.height
    }
    this.kept = next
    return taken
  }

  private keyOf(index: number, seq: number, position: number): string {
    const { selected, search, hit, columns, rows } = this.pane
    const group = rows.group(index)
    const of = group ? `${group.isCollapsed} ${group.lines} ${group.errors} ${group.warnings}` : ''
    const isSelected = selected.value !== null && seq >= selected.value.from && seq <= selected.value.to
    return `${seq} ${position} ${columns.value} ${isSelected} ${hit.value === seq} ${search.value?.pattern ?? ''} ${of} ${rows.heightAt(position)} ${this.pane.store.kind(index)}`
  }

  private make(index: number, seq: number, position: number, key: string): ShownRow {
    const { rows, store, selected, search, hit } = this.pane
    const raw = store.text(index)
    const isGroup = store.kind(index) === KIND.group
    const shown = shownText(raw)
    const pattern = search.value?.pattern
    const group = isGroup ? rows.group(index) : undefined
    return {
      key,
      seq,
      position,
      height: rows.heightAt(position),
      depth: rows.depth(position),
      level: store.level(index),
      stream: store.stream(index),
      time: store.time(index),
      pieces: isGroup ? titlePieces(shown, pattern) : linePieces(raw, shown, pattern),
      cut: shown.length >= LONGEST_SHOWN ? Math.max(0, raw.length - shown.length) : 0,
      isMiddleGone: MIDDLE_GONE.test(raw),
      isUneven: !isPlain(shown),
      isSelected: selected.value !== null && seq >= selected.value.from && seq <= selected.value.to,
      isHit: hit.value === seq,
      gap: store.gap(index),
      group: group && { ...group },
    }
  }
}

function titlePieces(shown: string, pattern: RegExp | undefined): Piece[] {
  const title = groupTitle(shown)
  return toPieces([{ text: title, style: null }], pattern ? matchesIn(pattern, title) : [])
}

function linePieces(raw: string, shown: string, pattern: RegExp | undefined): Piece[] {
  const matches = pattern ? matchesIn(pattern, shown) : []
  const pieces: Piece[] = []
  let left = LONGEST_SHOWN
  for (const piece of toPieces(parseAnsi(raw.length > LONG ? raw.slice(0, LONG) : raw), matches)) {
    if (left <= 0) break
    pieces.push(piece.text.length > left ? { ...piece, text: piece.text.slice(0, left) } : piece)
    left -= piece.text.length
  }
  return withLinks(pieces, raw.length > shown.length && shown.length >= LONGEST_SHOWN)
}
