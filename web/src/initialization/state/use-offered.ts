import { computed, readonly, ref, watch, type Ref } from 'vue'
import type { Offered } from '@/api/types'
import type { Connection } from '@/initialization/sources/source'
import { useLoad } from '@/ui/use-load'
import type { InitializationState } from './fold'
import { shownStatus } from './cancelling'
import { isBeingUndone } from './steps'

const NOTHING: Offered = { project: [], steps: {} }

/** The controls that the API offers, read again after each change of a status that they depend on. */
export function useOffered(
  read: (() => Promise<Offered | null>) | null,
  state: Readonly<Ref<InitializationState | null>>,
  connection: Readonly<Ref<Connection>>,
): Readonly<Ref<Offered>> {
  if (read === null) return readonly(ref(NOTHING)) as Readonly<Ref<Offered>>
  const { data, failure, load } = useLoad(read)
  watch(
    [() => (state.value === null ? null : keyOf(state.value)), () => connection.value.state],
    ([key, now], [before]) => {
      const wasLost = failure.value !== null && now === 'live'
      if (key !== null && (key !== before || wasLost)) void load()
    },
    { immediate: true },
  )
  return computed(() => data.value ?? NOTHING)
}

function keyOf(state: InitializationState): string {
  const failed = state.steps.filter((step) => step.status === 'failed').map((step) => step.step)
  return [shownStatus(state.project), state.ended, isBeingUndone(state), ...failed].join(' ')
}
