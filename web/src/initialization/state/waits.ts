import type { Step } from '@/api/types'

/** What a step, or its rollback, waits for before it goes on. Times are milliseconds. */
export type Wait =
  | { for: 'attempt'; at: number; error: string | null }
  | { for: 'system'; at: number; error: string | null }
  | { for: 'worker'; since: number; queue: string | null }

/** What the step waits for; null if it runs or has ended. An attempt whose time has come is starting. */
export function waitOf({ status, metadata, error }: Step, now: number): Wait | null {
  const worker = metadata?.waiting_for_worker
  if (worker?.since) return { for: 'worker', since: Date.parse(worker.since), queue: worker.queue ?? null }
  const isRollback = metadata?.undo?.status === 'running'
  if (!isRollback && status !== 'running') return null
  const { next_attempt_at: at, asked_to_wait: isAsked } = (isRollback ? metadata.undo : metadata) ?? {}
  if (!at) return null
  const told = (isRollback ? metadata.undo?.error : metadata?.last_error) ?? error
  const isSystem = isAsked === true && Date.parse(at) - now > STARTING
  return { for: isSystem ? 'system' : 'attempt', at: Date.parse(at), error: told?.slice(0, 300) ?? null }
}

/** Whether the step waits for another system's limit or for a worker: nobody knows how long. */
export function isHeldUp(step: Step, now: number): boolean {
  const wait = waitOf(step, now)
  return wait !== null && wait.for !== 'attempt'
}

/** An attempt that is due within this time is starting. */
export const STARTING = 500
