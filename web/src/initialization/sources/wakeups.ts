/** How long a timer may be late before the machine must have slept. */
const SLEPT_MS = 20_000
const TICK_MS = 5_000

export interface Wakeups {
  offline(): void
  /** The page can be seen, has network, or runs again, after a time in which it may have missed something. */
  awake(): void
}

/** Tells of the moments after which an open connection cannot be trusted. Returns what stops it. */
export function watchWakeups({ offline, awake }: Wakeups): () => void {
  const listening = new AbortController()
  const { signal } = listening
  const whenVisible = () => document.visibilityState === 'visible' && awake()
  const whenRestored = (event: PageTransitionEvent) => event.persisted && awake()

  let last = Date.now()
  const clock = setInterval(() => {
    const now = Date.now()
    if (now - last > SLEPT_MS) whenVisible()
    last = now
  }, TICK_MS)

  document.addEventListener('visibilitychange', whenVisible, { signal })
  addEventListener('pageshow', whenRestored, { signal })
  addEventListener('online', awake, { signal })
  addEventListener('offline', offline, { signal })
  return () => {
    listening.abort()
    clearInterval(clock)
  }
}
