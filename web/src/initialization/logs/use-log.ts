import { computed, onScopeDispose, shallowRef } from 'vue'
import type { Failure } from '@/api/errors'
import { LogReader, type ReaderState } from './log-reader'
import type { Logs } from './logs'
import type { LogEnd, LogOf } from './store/line'
import { LogStore } from './store/log-store'

/** At first only the end is read; so many lines before it are read without asking. */
const TAIL = 5_000
const READ_UNASKED = 100_000
/** Lines that come within this time are drawn together. */
const BATCH_MS = 80

export function urlOf(logs: Logs, step: string, { round, attempt, rollback }: LogOf): string {
  const query = rollback ? 'rollback=true' : `round=${round}&attempt=${attempt}`
  return `${logs.url(step)}?${query}`
}

/** The lines of one attempt, read and followed for as long as the scope lives. `fromStart` reads all of them at once. */
export function useLog(logs: Logs, step: string, of: LogOf, fromStart: boolean) {
  const store = new LogStore()
  const earlier = new LogStore()
  const tick = shallowRef(0)
  const state = shallowRef<ReaderState>('connecting')
  const failure = shallowRef<Failure | null>(null)
  const end = shallowRef<LogEnd | null>(null)
  const isLoadingEarlier = shallowRef(false)
  /** there is nothing before the first line that was read */
  const hasStart = shallowRef(fromStart)
  const url = urlOf(logs, step, of)
  const common = { url, root: logs.root, signedOut: () => logs.signedOut() }
  let timer: ReturnType<typeof setTimeout> | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    tick.value += 1
  }

  function changed(): void {
    timer ??= setTimeout(flush, BATCH_MS)
  }

  const reader = new LogReader(
    { ...common, follow: true, ...(!fromStart && { tail: TAIL }) },
    {
      line: (line) => {
        store.append(line)
        changed()
      },
      gap: (gap) => {
        store.appendGap(gap)
        changed()
      },
      state: (next, more) => {
        state.value = next
        failure.value = more?.failure ?? null
        if (more?.end) end.value = more.end
        flush()
      },
    },
  )
  let before: LogReader | null = null

  const missing = computed(() => {
    void tick.value
    return store.length === 0 || hasStart.value ? 0 : Math.max(0, store.firstSeq - 1 - earlier.length)
  })
  const canLoadEarlier = computed(() => missing.value > 0 && store.dropped === 0 && !isLoadingEarlier.value)

  async function loadEarlier(): Promise<void> {
    if (!canLoadEarlier.value) return
    isLoadingEarlier.value = true
    before = new LogReader(
      { ...common, follow: false, before: store.firstSeq },
      {
        line: (line) => {
          earlier.append(line)
          changed()
        },
        gap: (gap) => {
          earlier.appendGap(gap)
          changed()
        },
        state: () => undefined,
      },
    )
    await before.run()
    isLoadingEarlier.value = false
    hasStart.value = true
    store.prepend(earlier)
    flush()
  }

  void reader.run()
  const stopAsking = setInterval(() => {
    if (store.length === 0) return
    clearInterval(stopAsking)
    if (store.firstSeq > 1 && store.firstSeq <= READ_UNASKED) void loadEarlier()
  }, 200)
  onScopeDispose(() => {
    reader.stop()
    before?.stop()
    clearInterval(stopAsking)
    clearTimeout(timer)
  })

  return {
    store,
    /** grows with each change of the store */
    tick,
    state,
    failure,
    end,
    missing,
    isLoadingEarlier,
    canLoadEarlier,
    loadEarlier,
    retry: () => reader.retry(),
  }
}

export type Log = ReturnType<typeof useLog>
