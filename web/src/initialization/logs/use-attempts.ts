import { computed, shallowRef, watch } from 'vue'
import type { Attempt, Step } from '@/api/types'
import type { Logs } from './logs'
import type { LogOf } from './store/line'

const MOST_PAGES = 20

export interface Choice extends LogOf {
  key: string
  outcome: string | null
}

const keyOf = ({ round, attempt, rollback }: LogOf) => (rollback ? 'rollback' : `${round}.${attempt}`)

/** The attempts of a step whose logs can be chosen, newest first, and its rollback. */
export function useAttempts(logs: Logs, step: () => Step) {
  const attempts = shallowRef<readonly Attempt[]>([])
  /** all attempts have been read */
  const isComplete = shallowRef(false)

  async function read(): Promise<void> {
    const found: Attempt[] = []
    let hasNewest = false
    for (let page = 0; page < MOST_PAGES && !hasNewest; page++) {
      const more = await logs.attempts(step().step, found.length).catch(() => [])
      found.push(...more)
      hasNewest = found.some(({ round, attempt }) => round === step().round && attempt === step().attempt)
      if (!more.length) break
    }
    if (found.length) attempts.value = found
    isComplete.value = hasNewest
  }

  watch(() => [step().round, step().attempt, step().status, step().undone_at], read, { immediate: true })

  const choices = computed<Choice[]>(() => {
    const known = attempts.value.map(({ round, attempt, outcome }) => ({ round, attempt, outcome: outcome ?? 'running' }))
    const { round, attempt } = step()
    if (!known.some((one) => one.round === round && one.attempt === attempt)) known.push({ round, attempt, outcome: '' as never })
    const choices: Choice[] = known.reverse().map((one) => ({ ...one, outcome: one.outcome || null, key: keyOf(one) }))
    if (step().undone_at || step().metadata?.undo) {
      choices.push({ round, attempt, rollback: true, outcome: null, key: 'rollback' })
    }
    return choices
  })

  /** Whether the step certainly has no such attempt. */
  function lacks({ round, attempt, rollback }: LogOf): boolean {
    if (rollback || choices.value.some((one) => one.round === round && one.attempt === attempt)) return false
    return isComplete.value || round > step().round || (round === step().round && attempt > step().attempt)
  }

  return { choices, lacks }
}
