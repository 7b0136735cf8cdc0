/**
 * The server's time, so that "next try in 5 s" and "running for 12 s" are true on a machine whose clock is off.
 * The Date header has whole seconds, so a difference below two of them is left alone.
 */
let offset = 0

const LEAST = 2000

/** `sent` and `received`: when the request began and its answer came, in this machine's time. */
export function learnServerTime(header: string | null, sent: number, received = Date.now()): void {
  const server = Date.parse(header ?? '')
  if (Number.isNaN(server)) return
  // The answer may have taken long: the header was written at any moment between the two.
  const [ahead, behind] = [server - received, sent - server]
  offset = ahead >= LEAST ? ahead : behind >= LEAST ? -behind : 0
}

export function serverNow(): number {
  return Date.now() + offset
}
