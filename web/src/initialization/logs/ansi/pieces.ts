import type { Span, Style } from './ansi'

export interface Piece {
  text: string
  style: Style | null
  /** part of a match of the search */
  found: boolean
}

export type Range = readonly [from: number, to: number]

/** The spans of a line, cut where a match begins or ends. */
export function toPieces(spans: readonly Span[], matches: readonly Range[]): Piece[] {
  const pieces: Piece[] = []
  let start = 0
  let next = 0
  for (const { text, style } of spans) {
    const end = start + text.length
    let at = start
    while (at < end) {
      while (next < matches.length && (matches[next] as Range)[1] <= at) next += 1
      const [from, to] = matches[next] ?? [Infinity, Infinity]
      const found = from <= at
      const until = Math.min(end, found ? to : from)
      pieces.push({ text: text.slice(at - start, until - start), style, found })
      at = until
    }
    start = end
  }
  return pieces
}
