import type { Span, Style } from './ansi'

export interface Piece {
  text: string
  style: Style | null
  /** part of a match of the search */
  found: boolean
  /** the web address that it is part of */
  href?: string
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

const ADDRESS = /https?:\/\/[^\s<>"'`，。；！？）】」』、]+/gi
/** What ends a sentence or closes a bracket. */
const AFTER = /[.,;:!?)\]}*_：]+$/

/** The pieces, cut where a web address begins or ends. `isCut`: the line goes on, an address at its end is not whole. */
export function withLinks(pieces: readonly Piece[], isCut = false): Piece[] {
  const text = pieces.map((piece) => piece.text).join('')
  const links = addressesIn(text).filter(({ to }) => !isCut || to < text.length)
  if (!links.length) return [...pieces]
  const found: Piece[] = []
  let start = 0
  for (const piece of pieces) {
    const end = start + piece.text.length
    let at = start
    while (at < end) {
      const next = links.find(({ to }) => to > at)
      const isIn = next !== undefined && next.from <= at
      const until = Math.min(end, next ? (isIn ? next.to : next.from) : end)
      found.push({ ...piece, text: piece.text.slice(at - start, until - start), ...(isIn && { href: next.href }) })
      at = until
    }
    start = end
  }
  return found
}

function addressesIn(text: string): { from: number; to: number; href: string }[] {
  if (!text.includes('://')) return []
  return [...text.matchAll(ADDRESS)].flatMap(({ index, 0: match }) => {
    const href = trimmed(match)
    return URL.canParse(href) ? [{ from: index, to: index + href.length, href }] : []
  })
}

/** Without what follows the address; a bracket that was opened in it belongs to it. */
function trimmed(match: string): string {
  const address = match.replace(AFTER, '')
  const rest = match.slice(address.length)
  return rest.startsWith(')') && address.includes('(') && !address.includes(')') ? `${address})` : address
}
