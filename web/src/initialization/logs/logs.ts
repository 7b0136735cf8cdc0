import { useEventListener } from '@vueuse/core'
import { computed, inject, provide, shallowRef, type ComputedRef, type InjectionKey, type Ref, type ShallowRef } from 'vue'
import type { StepwayApi } from '@/api/client'
import type { Attempt } from '@/api/types'

/** Where the logs of one initialization are. */
export interface Logs {
  root: string
  url(step: string): string
  signedOut(): void
  /** one page, without the first `after` */
  attempts(step: string, after: number): Promise<Attempt[]>
}

const LOGS: InjectionKey<ComputedRef<Logs | null>> = Symbol('stepway logs')

/** Absent where only a recording is shown, or where the logs are turned off. */
export function useLogs(): ComputedRef<Logs | null> {
  return inject(LOGS, () => computed(() => null), true)
}

export function provideLogs(logs: ComputedRef<Logs | null>): void {
  provide(LOGS, logs)
}

export function createLogs(api: StepwayApi, projectId: string): Logs {
  return {
    root: api.root,
    url: (step) => api.logsUrl(projectId, step),
    signedOut: api.signedOut,
    attempts: (step, after) => api.attempts(projectId, step, after),
  }
}

/** The lines of a log that the page's address names, as `link.ts` reads and writes them. */
export interface LogLinks {
  hash: Readonly<ShallowRef<string>>
  /** whose log the address names */
  step: Readonly<Ref<string | null>>
  /** A log was opened, or closed: a reload of the page shows the log that was opened last. */
  opened(step: string): void
  closed(step: string): void
}

const LINKS: InjectionKey<LogLinks> = Symbol('stepway log links')

/** Absent in somebody else's page, whose address is not ours to write. */
export function useLogLinks(): LogLinks | null {
  return inject(LINKS, null)
}

/** The address stands for lines of a log for as long as the scope lives. */
export function provideLogLinks(): void {
  const hash = shallowRef(location.hash)
  useEventListener('hashchange', () => (hash.value = location.hash))
  provide(LINKS, {
    hash,
    step: computed(() => stepOf(hash.value)),
    opened: (step) => stepOf(location.hash) !== step && writeHash(`#log=${encodeURIComponent(step)}`),
    closed: (step) => stepOf(location.hash) === step && writeHash(''),
  })
}

function stepOf(hash: string): string | null {
  const name = /^#log=([^:]+)/.exec(hash)?.[1]
  if (name === undefined) return null
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}

/** Not by the router, which would scroll the page to its top. */
function writeHash(hash: string): void {
  history.replaceState(history.state, '', hash || `${location.pathname}${location.search}`)
}
