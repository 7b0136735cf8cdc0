import { isPlain, visibleText } from '../ansi/ansi'
import { columnsOf } from '../ansi/columns'
import { LEVELS, STREAMS, type Level, type LogGap, type LogLine, type Stream } from './line'

const CHUNK = 1024
/** Of a line, more is never drawn; copies and downloads have all of it. */
export const LONGEST_SHOWN = 10_000
/** About as many bytes; the oldest lines go when there are more. */
const MOST_CHARACTERS = 256_000_000
const GROUP = '::group::'
const END_GROUP = '::endgroup::'

export const KIND = { line: 0, group: 1, endGroup: 2, gap: 3 } as const

/** A thousand lines as one string and a few numbers each: a million strings would take twice the memory. */
export class Chunk {
  size = 0
  characters = 0
  private whole: string | null = null
  private readonly parts: string[] = []
  private readonly ends = new Uint32Array(CHUNK)
  readonly seqs = new Uint32Array(CHUNK)
  readonly times = new Float64Array(CHUNK)
  /** columns of the drawn text */
  readonly widths = new Uint32Array(CHUNK)
  /** level in bits 0 and 1, stream in bits 2 and 3, kind in bits 4 and 5 */
  readonly marks = new Uint8Array(CHUNK)
  readonly gaps = new Map<number, LogGap>()

  get isFull(): boolean {
    return this.size === CHUNK
  }

  push(seq: number, time: number, mark: number, width: number, text: string): void {
    const index = this.size++
    this.seqs[index] = seq
    this.times[index] = time
    this.marks[index] = mark
    this.widths[index] = width
    this.characters += text.length
    this.ends[index] = this.characters
    this.parts.push(text)
    if (!this.isFull) return
    this.whole = this.parts.join('')
    this.parts.length = 0
  }

  text(index: number): string {
    if (this.whole === null) return this.parts[index] ?? ''
    return this.whole.slice(index === 0 ? 0 : this.ends[index - 1], this.ends[index])
  }
}

/** The lines of one attempt in their order, and the gaps between them. An index is a place in it; `seq` is a line's number. */
export class LogStore {
  private chunks: Chunk[] = []
  private starts: number[] = []
  private near = 0
  private held = 0
  length = 0
  /** changes when indexes have moved: what was derived from them is to be built again */
  epoch = 0
  /** lines that were here and were given up to save memory */
  dropped = 0

  constructor(private readonly most = MOST_CHARACTERS) {}

  get characters(): number {
    return this.held
  }

  get firstSeq(): number {
    return this.length === 0 ? 0 : this.seq(0)
  }

  get lastSeq(): number {
    return this.length === 0 ? 0 : this.seq(this.length - 1)
  }

  append({ seq, at, level, stream, text }: LogLine): void {
    const shown = shownText(text)
    const kind = shown.startsWith(GROUP) ? KIND.group : shown.trimEnd() === END_GROUP ? KIND.endGroup : KIND.line
    const mark = Math.max(0, LEVELS.indexOf(level)) | (Math.max(0, STREAMS.indexOf(stream)) << 2) | (kind << 4)
    const width = isPlain(shown) ? shown.length : columnsOf(shown)
    this.last().push(seq, Date.parse(at), mark, width, text)
    this.added(text.length)
  }

  appendGap(gap: LogGap): void {
    const chunk = this.last()
    chunk.gaps.set(chunk.size, gap)
    chunk.push(gap.after + gap.lines, NaN, KIND.gap << 4, 0, '')
    this.added(0)
  }

  /** Puts the lines of another store before these. */
  prepend(earlier: LogStore): void {
    this.chunks = [...earlier.chunks, ...this.chunks]
    this.held += earlier.held
    this.moved()
    this.shorten()
  }

  seq(index: number): number {
    const [chunk, place] = this.find(index)
    return chunk.seqs[place] ?? 0
  }

  /** Milliseconds since 1970. */
  time(index: number): number {
    const [chunk, place] = this.find(index)
    return chunk.times[place] ?? NaN
  }

  mark(index: number): number {
    const [chunk, place] = this.find(index)
    return chunk.marks[place] ?? 0
  }

  level(index: number): Level {
    return LEVELS[this.mark(index) & 3] ?? 'info'
  }

  stream(index: number): Stream {
    return STREAMS[(this.mark(index) >> 2) & 3] ?? 'log'
  }

  kind(index: number): number {
    return this.mark(index) >> 4
  }

  width(index: number): number {
    const [chunk, place] = this.find(index)
    return chunk.widths[place] ?? 0
  }

  /** As it was written, with its escape sequences. */
  text(index: number): string {
    const [chunk, place] = this.find(index)
    return chunk.text(place)
  }

  gap(index: number): LogGap | undefined {
    const [chunk, place] = this.find(index)
    return chunk.gaps.get(place)
  }

  /** The index of the first line with this number or a later one; `length` where there is none. */
  indexOf(seq: number): number {
    let [low, high] = [0, this.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.seq(middle) < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Goes through the lines from an index on, without the cost of a search for each. */
  each(from: number, visit: (index: number, mark: number, width: number) => void): void {
    for (let number = this.chunkOf(from); number < this.chunks.length; number++) {
      const chunk = this.chunks[number] as Chunk
      const start = this.starts[number] as number
      for (let place = Math.max(0, from - start); place < chunk.size; place++) {
        visit(start + place, chunk.marks[place] as number, chunk.widths[place] as number)
      }
    }
  }

  private last(): Chunk {
    const last = this.chunks.at(-1)
    if (last && !last.isFull) return last
    const chunk = new Chunk()
    this.chunks.push(chunk)
    this.starts.push(this.length)
    return chunk
  }

  private added(characters: number): void {
    this.length += 1
    this.held += characters
    if (this.held > this.most) this.shorten()
  }

  /** A tenth at once, since every index moves. */
  private shorten(): void {
    if (this.held <= this.most) return
    const before = this.length
    while (this.held > this.most * 0.9 && this.chunks.length > 1) this.held -= this.chunks.shift()?.characters ?? 0
    this.moved()
    this.dropped += before - this.length
  }

  private moved(): void {
    this.starts = []
    this.length = 0
    for (const chunk of this.chunks) {
      this.starts.push(this.length)
      this.length += chunk.size
    }
    this.near = 0
    this.epoch += 1
  }

  private find(index: number): [Chunk, number] {
    const number = this.chunkOf(index)
    const chunk = this.chunks[number]
    if (!chunk || index < 0 || index >= this.length) throw new RangeError(`There is no line at ${index} of ${this.length}`)
    return [chunk, index - (this.starts[number] as number)]
  }

  private chunkOf(index: number): number {
    const isIn = (number: number) =>
      index >= (this.starts[number] ?? Infinity) && index < (this.starts[number + 1] ?? Infinity)
    if (isIn(this.near)) return this.near
    let [low, high] = [0, this.starts.length - 1]
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.starts[middle] as number) <= index) low = middle
      else high = middle - 1
    }
    this.near = Math.max(0, low)
    return this.near
  }
}

/** What is drawn of a line. */
export function shownText(text: string): string {
  const cut = text.length > 4 * LONGEST_SHOWN ? text.slice(0, 4 * LONGEST_SHOWN) : text
  const visible = visibleText(cut)
  return visible.length > LONGEST_SHOWN ? visible.slice(0, LONGEST_SHOWN) : visible
}

/** The title of a `::group::` line. */
export function groupTitle(shown: string): string {
  return shown.slice(GROUP.length).trim()
}
