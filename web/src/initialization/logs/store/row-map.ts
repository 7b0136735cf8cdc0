import { Growing } from './growing'
import { KIND, type LogStore } from './log-store'

const BLOCK = 256

export interface Filter {
  /** bit n: the level LEVELS[n] is shown */
  levels: number
  /** bit n: the stream STREAMS[n] is shown */
  streams: number
}

export const ALL: Filter = { levels: 15, streams: 7 }

export interface Group {
  /** its line with the title */
  index: number
  seq: number
  isCollapsed: boolean
  isShown: boolean
  lines: number
  warnings: number
  errors: number
}

export interface RowOptions {
  filter: Filter
  /** numbers of the title lines of closed groups */
  collapsed: ReadonlySet<number>
  /** null: lines are not wrapped */
  columns: number | null
}

/**
 * Which lines are shown, and at which row each begins. A row has one height for all; a wrapped line takes several.
 * A position counts shown lines, an index all lines of the store.
 */
export class RowMap {
  private readonly indexes = Growing.uint32()
  private readonly depths = Growing.uint8()
  /** the row at which each block of positions begins */
  private blocks: number[] = []
  private total = 0
  private seen = 0
  private epoch = -1
  private open: Group[] = []
  private readonly groups = new Map<number, Group>()
  private readonly measured = new Map<number, number>()
  private options: RowOptions = { filter: ALL, collapsed: new Set(), columns: null }

  constructor(private readonly store: LogStore) {}

  get length(): number {
    return this.indexes.length
  }

  get rows(): number {
    return this.total
  }

  /** The number of groups that have begun. */
  get groupCount(): number {
    return this.groups.size
  }

  /** Starts again with other options. */
  reset(options: RowOptions): void {
    if (options.columns !== this.options.columns) this.measured.clear()
    this.options = options
    this.epoch = -1
    this.extend()
  }

  /** Takes what has been added to the store. */
  extend(): void {
    if (this.epoch !== this.store.epoch) this.clear()
    this.store.each(this.seen, (index, mark, width) => this.take(index, mark, width))
    this.seen = this.store.length
  }

  index(position: number): number {
    return this.indexes.at(position)
  }

  depth(position: number): number {
    return this.depths.at(position)
  }

  group(index: number): Group | undefined {
    return this.groups.get(index)
  }

  /** The position of the line with this index, or of the next that is shown. */
  positionOf(index: number): number {
    return this.indexes.lowerBound(index)
  }

  /** The row at which a position begins. */
  rowOf(position: number): number {
    if (this.options.columns === null) return position
    const block = Math.floor(position / BLOCK)
    if (position >= this.length) return this.total
    let row = this.blocks[block] ?? this.total
    for (let before = block * BLOCK; before < position; before++) row += this.heightAt(before)
    return row
  }

  /** The position that has this row. */
  positionAt(row: number): number {
    if (this.options.columns === null) return Math.min(Math.max(0, Math.floor(row)), Math.max(0, this.length - 1))
    let [low, high] = [0, this.blocks.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.blocks[middle] as number) <= row) low = middle
      else high = middle - 1
    }
    let position = Math.max(0, low) * BLOCK
    let at = this.blocks[low] ?? 0
    while (position < this.length - 1) {
      at += this.heightAt(position)
      if (at > row) break
      position += 1
    }
    return position
  }

  /** Rows of the line at a position. */
  heightAt(position: number): number {
    const index = this.indexes.at(position)
    return this.height(index, this.store.mark(index), this.store.width(index))
  }

  /** Notes how many rows a line took where that cannot be computed, as with characters of another font. Returns whether that is news. */
  measure(position: number, rows: number): boolean {
    const more = rows - this.heightAt(position)
    if (more === 0 || this.options.columns === null) return false
    this.measured.set(this.store.seq(this.indexes.at(position)), rows)
    for (let block = Math.floor(position / BLOCK) + 1; block < this.blocks.length; block++) {
      this.blocks[block] = (this.blocks[block] as number) + more
    }
    this.total += more
    return true
  }

  /** The closed groups around a line, by the numbers of their title lines. */
  closedAround(index: number): number[] {
    const around: number[] = []
    this.store.each(0, (at, mark) => {
      if (at >= index) return
      if (mark >> 4 === KIND.group) around.push(this.store.seq(at))
      else if (mark >> 4 === KIND.endGroup) around.pop()
    })
    return around.filter((seq) => this.options.collapsed.has(seq))
  }

  passes(mark: number): boolean {
    const { levels, streams } = this.options.filter
    return ((levels >> (mark & 3)) & 1) === 1 && ((streams >> ((mark >> 2) & 3)) & 1) === 1
  }

  private clear(): void {
    this.indexes.clear()
    this.depths.clear()
    this.blocks = []
    this.total = 0
    this.seen = 0
    this.open = []
    this.groups.clear()
    this.epoch = this.store.epoch
  }

  private take(index: number, mark: number, width: number): void {
    const kind = mark >> 4
    if (kind === KIND.group) this.begin(index)
    else if (kind === KIND.endGroup) this.open.pop()
    else if (kind === KIND.gap) this.show(index, mark, width)
    else if (this.passes(mark)) this.show(index, mark, width, mark & 3)
  }

  private begin(index: number): void {
    const seq = this.store.seq(index)
    const isCollapsed = this.options.collapsed.has(seq)
    const group = { index, seq, isCollapsed, isShown: false, lines: 0, warnings: 0, errors: 0 }
    this.open.push(group)
    this.groups.set(index, group)
    const { levels, streams } = this.options.filter
    if (levels === ALL.levels && streams === ALL.streams) this.showTitles()
  }

  private show(index: number, mark: number, width: number, level = 0): void {
    for (const group of this.open) {
      group.lines += 1
      if (level === 2) group.warnings += 1
      if (level === 3) group.errors += 1
    }
    if (this.open.length) this.showTitles()
    if (!this.open.some(({ isCollapsed }) => isCollapsed)) this.add(index, this.open.length, mark, width)
  }

  /** With a filter, only the groups that have something in them. */
  private showTitles(): void {
    for (const [depth, group] of this.open.entries()) {
      if (!group.isShown) this.add(group.index, depth, KIND.group << 4, 0)
      group.isShown = true
      if (group.isCollapsed) return
    }
  }

  private add(index: number, depth: number, mark: number, width: number): void {
    if (this.indexes.length % BLOCK === 0) this.blocks.push(this.total)
    this.indexes.push(index)
    this.depths.push(Math.min(depth, 255))
    this.total += this.height(index, mark, width)
  }

  private height(index: number, mark: number, width: number): number {
    const { columns } = this.options
    if (columns === null || mark >> 4 !== KIND.line) return 1
    const measured = this.measured.size > 0 ? this.measured.get(this.store.seq(index)) : undefined
    return measured ?? Math.max(1, Math.ceil(width / columns))
  }
}
