import type { Range } from '../ansi/pieces'
import { Growing } from './growing'
import { KIND, shownText, type LogStore } from './log-store'
import { Slices } from './slices'

export interface Query {
  text: string
  isRegex: boolean
  isCaseSensitive: boolean
}

/** The expression to look for; null for an empty query. Throws SyntaxError for a bad one. */
export function toRegExp({ text, isRegex, isCaseSensitive }: Query): RegExp | null {
  if (text === '') return null
  const source = isRegex ? text : text.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
  return new RegExp(source, isCaseSensitive ? 'g' : 'gi')
}

/** Where a line matches; what matches no character is no match. */
export function matchesIn(pattern: RegExp, text: string, most = 200): Range[] {
  const found: Range[] = []
  pattern.lastIndex = 0
  for (let match = pattern.exec(text); match && found.length < most; match = pattern.exec(text)) {
    if (match[0] === '') pattern.lastIndex += 1
    else found.push([match.index, match.index + match[0].length])
  }
  return found
}

function isIn(pattern: RegExp, text: string): boolean {
  return matchesIn(pattern, text, 1).length > 0
}

const PAUSE_EACH = 128

/** The lines that match, found in slices, and those added later. */
export class LogSearch {
  private readonly found = Growing.uint32()
  private scanned = 0
  private epoch: number
  private running: Promise<void> | null = null
  private isStopped = false

  constructor(
    private readonly store: LogStore,
    readonly pattern: RegExp,
    private readonly passes: (mark: number) => boolean,
    private readonly changed: () => void,
    /** milliseconds between two calls of `changed` while it looks */
    private readonly each = 100,
  ) {
    this.epoch = store.epoch
  }

  get count(): number {
    return this.found.length
  }

  /** Whether there are lines that were not looked at. */
  get isRunning(): boolean {
    return this.scanned < this.store.length
  }

  index(number: number): number {
    return this.found.at(number)
  }

  /** The number of the first hit at or after an index, round to the first. */
  from(index: number): number {
    const number = this.found.lowerBound(index)
    return number < this.count ? number : 0
  }

  stop(): void {
    this.isStopped = true
  }

  /** Looks at all lines that are there and were not looked at. */
  run(): Promise<void> {
    this.running ??= this.scan().finally(() => (this.running = null))
    return this.running
  }

  private async scan(): Promise<void> {
    const slices = new Slices()
    let told = performance.now()
    while (!this.isStopped) {
      if (this.epoch !== this.store.epoch) this.restart()
      if (this.scanned >= this.store.length) break
      const until = Math.min(this.store.length, this.scanned + PAUSE_EACH)
      for (; this.scanned < until; this.scanned++) this.look(this.scanned)
      await slices.pause()
      if (performance.now() - told < this.each) continue
      told = performance.now()
      if (!this.isStopped) this.changed()
    }
    if (!this.isStopped) this.changed()
  }

  private restart(): void {
    this.found.clear()
    this.scanned = 0
    this.epoch = this.store.epoch
  }

  private look(index: number): void {
    const mark = this.store.mark(index)
    const kind = mark >> 4
    if (kind === KIND.gap || kind === KIND.endGroup) return
    if (kind === KIND.line && !this.passes(mark)) return
    if (isIn(this.pattern, shownText(this.store.text(index)))) this.found.push(index)
  }
}
