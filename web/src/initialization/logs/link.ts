/** `#log=STEP:ATTEMPT:L10-L20`, where ATTEMPT is `ROUND.ATTEMPT`, an attempt of the newest round, or `rollback`. */
export interface LogLink {
  step: string
  /** null: the newest round */
  round: number | null
  attempt: number | null
  rollback: boolean
  from: number | null
  to: number | null
}

const LINK = /^#log=([^:]+)(?::(?:(?:(\d+)\.)?(\d+)|(rollback)))?(?::L(\d+)(?:-L?(\d+))?)?$/
const toNumber = (digits: string | undefined) => (digits === undefined ? null : Number(digits))

export function parseLink(hash: string): LogLink | null {
  const found = LINK.exec(hash)
  if (!found) return null
  const [, step, round, attempt, rollback, one, other] = found
  const [first, second] = [toNumber(one), toNumber(other)]
  const [from, to] = first === null ? [null, null] : [first, second ?? first].sort((a, b) => a - b)
  return {
    step: decoded(step ?? ''),
    round: toNumber(round),
    attempt: toNumber(attempt),
    rollback: rollback !== undefined,
    from: from ?? null,
    to: to ?? null,
  }
}

/** Names these lines in the address. Not by the router, which would scroll the page to its top. */
export function writeLink(link: LogLink): void {
  history.replaceState(history.state, '', formatLink(link))
}

export function formatLink({ step, round, attempt, rollback, from, to }: LogLink): string {
  const of = rollback ? ':rollback' : attempt === null ? '' : `:${round === null ? '' : `${round}.`}${attempt}`
  const lines = from === null ? '' : to === null || to === from ? `:L${from}` : `:L${from}-L${to}`
  return `#log=${encodeURIComponent(step)}${of}${lines}`
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
