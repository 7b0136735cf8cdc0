import { onScopeDispose, readonly, shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import type { Failure } from '@/api/errors'
import type { Connection, InitializationSource, OpenSource } from '@/initialization/sources/source'
import type { StreamEvent } from '@/api/types'
import { foldAll, type InitializationState } from './fold'

/** Events that come within this time are shown together: fifty a second stay smooth. */
const BATCH_MS = 50

/** Follows one initialization for as long as the scope lives. */
export function useInitialization(source: MaybeRefOrGetter<InitializationSource>) {
  const state = shallowRef<InitializationState | null>(null)
  const connection = shallowRef<Connection>({ state: 'connecting' })
  const failure = shallowRef<Failure | null>(null)
  let opened: OpenSource | null = null
  let waiting: StreamEvent[] = []
  let timer: ReturnType<typeof setTimeout> | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    const folded = foldAll(state.value, waiting)
    waiting = []
    state.value = folded.state
    if (folded.gap) opened?.refresh()
  }

  function take(event: StreamEvent): void {
    waiting.push(event)
    failure.value = null
    if (state.value === null && event.type === 'snapshot') flush()
    else timer ??= setTimeout(flush, BATCH_MS)
  }

  function close(): void {
    clearTimeout(timer)
    timer = undefined
    waiting = []
    opened?.close()
    opened = null
  }

  watch(
    () => toValue(source),
    (current) => {
      close()
      state.value = null
      failure.value = null
      opened = current.open({
        event: take,
        connection: (next) => {
          connection.value = next
          if (next.state === 'live') failure.value = null
        },
        failure: (next) => (failure.value = next),
      })
    },
    { immediate: true },
  )
  onScopeDispose(close)

  return {
    state: readonly(state) as typeof state,
    connection,
    failure,
    refresh: () => opened?.refresh(),
  }
}
