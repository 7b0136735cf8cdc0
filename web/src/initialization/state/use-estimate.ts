import { shallowRef, toValue, watch, type MaybeRefOrGetter } from 'vue'
import { serverNow } from '@/api/clock'
import { ApiError } from '@/api/errors'
import { FEWEST_FOR_ESTIMATE } from '@/api/facts'
import type { Estimate } from '@/api/types'

export interface TimeLeft {
  /** milliseconds left when half of the runs, and when 95 % of them, would be done */
  low: number
  high: number
  samples: number
}

/** What is left of an estimate that was given some time ago; null once it has nothing honest to say. */
export function timeLeft(estimate: Estimate | null, age: number): TimeLeft | null {
  if (estimate === null || estimate.samples < FEWEST_FOR_ESTIMATE) return null
  if (estimate.p50_ms === null || estimate.p95_ms === null) return null
  const high = Math.max(estimate.p50_ms, estimate.p95_ms) - age
  if (high <= 0) return null
  return { low: Math.max(0, estimate.p50_ms - age), high, samples: estimate.samples }
}

/** Asks for the estimate at the start and whenever `moment` changes, such as the number of finished steps. */
export function useEstimate(
  read: (() => Promise<Estimate>) | null,
  moment: MaybeRefOrGetter<unknown>,
  now: MaybeRefOrGetter<number>,
) {
  const given = shallowRef<{ estimate: Estimate; at: number } | null>(null)

  let offered = true

  watch(
    () => toValue(moment),
    async (current) => {
      if (read === null || current === null) return
      if (!offered) return
      try {
        given.value = { estimate: await read(), at: serverNow() }
      } catch (error) {
        // The page is whole without it; an API that has none is not asked again.
        offered = !(error instanceof ApiError && error.status === 404)
        given.value = null
      }
    },
    { immediate: true },
  )

  return () => (given.value ? timeLeft(given.value.estimate, Math.max(0, toValue(now) - given.value.at)) : null)
}
