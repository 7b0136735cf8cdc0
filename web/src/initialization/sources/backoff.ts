const FIRST_MS = 500
const LONGEST_MS = 10_000

/** Waits that double up to ten seconds, each shortened at random so that many pages do not come at once. */
export class Backoff {
  private tries = 0

  next(): number {
    const wait = Math.min(FIRST_MS * 2 ** this.tries, LONGEST_MS)
    this.tries += 1
    return wait * (0.5 + Math.random() / 2)
  }

  reset(): void {
    this.tries = 0
  }
}
