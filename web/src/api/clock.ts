/**
 * The server's time, so that "next try in 5 s" and "running for 12 s" are true on a machine whose clock is off.
 * The Date header has whole seconds, so a difference below two of them is left alone.
 */
let offset = 0

export function learnServerTime(header: string | null, now = Date.now()): void {
  const server = Date.parse(header ?? '')
  if (Number.isNaN(server)) return
  offset = Math.abs(server - now) < 2000 ? 0 : server - now
}

export function serverNow(): number {
  return Date.now() + offset
}
