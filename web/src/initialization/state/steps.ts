import { DONE_STATUSES } from '@/api/facts'
import type { Project, Step } from '@/api/types'

/** Steps whose times overlap by less than this are taken as one after the other. */
const OVERLAP_MS = 20

export function nameOf(step: Pick<Step, 'step' | 'display_name' | 'metadata'>, locale: string): string {
  const names = step.metadata?.display_names
  return names?.[locale] || step.display_name || names?.en || step.step
}

export function topLevel(steps: readonly Step[]): Step[] {
  return steps.filter((step) => step.parent_step === null)
}

/** Sub-steps by the step they are part of. */
export function byParent(steps: readonly Step[]): Map<string, Step[]> {
  const children = new Map<string, Step[]>()
  for (const step of steps) {
    if (step.parent_step === null) continue
    children.set(step.parent_step, [...(children.get(step.parent_step) ?? []), step])
  }
  return children
}

/** A cancel takes back what was made: nothing can be asked for until that is over. */
export function isBeingUndone({ project, steps }: { project: Project; steps: readonly Step[] }): boolean {
  return project.status === 'initializing' && steps.some((step) => step.metadata?.undo?.status === 'running')
}

/** The status that people see: a step that a cancel stopped has not failed by itself. */
export function shownStepStatus({ status, metadata }: Pick<Step, 'status' | 'metadata'>): Step['status'] | 'cancelled' {
  return status === 'failed' && metadata?.reason ? 'cancelled' : status
}

export function isDone(step: Step): boolean {
  return DONE_STATUSES.some((status) => status === step.status)
}

/** Milliseconds a step has taken, or has been running for. */
export function durationOf(step: Step, now: number): number | null {
  if (step.duration !== null) return step.duration
  if (step.status !== 'running' || step.started_at === null) return null
  return now - Date.parse(step.started_at)
}

interface Span {
  from: number
  to: number
}

/** When a step ran; one that was retried counts from its last start. */
export function spanOf(step: Step, now: number): Span | null {
  if (step.started_at === null) return null
  const from = Date.parse(step.started_at)
  if (step.completed_at !== null) return { from, to: Date.parse(step.completed_at) }
  return { from, to: step.status === 'running' ? now : from + (step.duration ?? 0) }
}

function overlap(a: Span | null, b: Span | null): boolean {
  if (a === null || b === null) return false
  return Math.min(a.to, b.to) - Math.max(a.from, b.from) > OVERLAP_MS
}

export type PlaceInGroup = 'first' | 'middle' | 'last'

/** Where a step stands among neighbours that ran at the same time; absent where it ran alone. */
export function placesInGroups(steps: readonly Step[], now: number): Map<string, PlaceInGroup> {
  const spans = steps.map((step) => spanOf(step, now))
  const joined = steps.map((_, index) => index > 0 && overlap(spans[index - 1] ?? null, spans[index] ?? null))
  const places = new Map<string, PlaceInGroup>()
  steps.forEach((step, index) => {
    const before = joined[index] ?? false
    const after = joined[index + 1] ?? false
    if (before || after) places.set(step.step, before ? (after ? 'middle' : 'last') : 'first')
  })
  return places
}

/** Steps that a person should hear of: those whose status is another than before. */
export function statusChanges(before: readonly Step[], after: readonly Step[]): Step[] {
  if (before === after) return []
  const known = new Map(before.map((step) => [step.step, step]))
  return topLevel(after).filter((step) => {
    const earlier = known.get(step.step)
    return earlier !== undefined && earlier !== step && earlier.status !== step.status
  })
}
