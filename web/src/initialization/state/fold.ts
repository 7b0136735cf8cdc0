import { INSERTED_STEP } from '@/api/facts'
import type { Initialization, Project, Step, StepChange, StreamEvent } from '@/api/types'

/**
 * What is known of one initialization. Never changed in place: an untouched step keeps its identity.
 *
 * The rules of the fold are those in cli/client/fold.py; the recorded streams in tests/fold check both.
 */
export interface InitializationState {
  project: Project
  /** in order of `sequence`; sub-steps are rows too */
  steps: readonly Step[]
  progress: number
  version: number
  /** nothing more will come, unless somebody retries */
  ended: boolean
}

export interface Folded {
  state: InitializationState | null
  /** a version is missing before this event: it was not applied, ask again from `state.version` */
  gap: boolean
}

/** The state after one event. Versions already seen change nothing; a snapshot stands for all before it. */
export function fold(state: InitializationState | null, event: StreamEvent): Folded {
  if (event.type === 'snapshot') return { state: fromSnapshot(event.data), gap: false }
  if (state === null) return { state, gap: true }
  const { version } = event.data
  if (version <= state.version) return { state, gap: false }
  if (version > state.version + 1) return { state, gap: true }
  return { state: apply(state, event), gap: false }
}

/** Several events at once; what comes after a gap waits for a snapshot. */
export function foldAll(state: InitializationState | null, events: readonly StreamEvent[]): Folded {
  return events.reduce<Folded>(
    (before, event) => {
      const after = fold(before.state, event)
      return event.type === 'snapshot' ? after : { state: after.state, gap: before.gap || after.gap }
    },
    { state, gap: false },
  )
}

function fromSnapshot(initialization: Initialization): InitializationState {
  const { project, steps, progress, version } = initialization
  return { project, steps: inOrder(steps), progress, version, ended: hasEnded(initialization) }
}

function apply(state: InitializationState, event: Exclude<StreamEvent, { type: 'snapshot' }>): InitializationState {
  const { version } = event.data
  const progress = 'progress' in event.data ? event.data.progress : state.progress
  const project = { ...state.project, version, progress }
  const after = { ...state, project, version, progress, ended: endedAfter(state.ended, event) }
  switch (event.type) {
    case 'step':
      return { ...after, steps: mergeStep(state.steps, event.data.step) }
    case 'project':
      return { ...after, project: { ...project, ...event.data.project } }
    case 'end':
      return { ...after, project: { ...project, status: event.data.status } }
    default:
      return after
  }
}

/** Whether an initialization has ended: an `end` that a retry has overtaken comes as a `project` event. */
export function endedAfter(ended: boolean, event: StreamEvent): boolean {
  switch (event.type) {
    case 'snapshot':
      return hasEnded(event.data)
    case 'end':
      return true
    case 'project':
      return ended && event.data.project.initialization_completed_at !== null
    default:
      return ended
  }
}

/** `failed` with no time of completion waits for a person: it has not ended. */
export function hasEnded({ project }: Pick<Initialization, 'project'>): boolean {
  return project.initialization_completed_at !== null
}

function mergeStep(steps: readonly Step[], change: StepChange): readonly Step[] {
  const index = steps.findIndex((step) => step.step === change.step)
  const known = steps[index]
  if (known === undefined) return inOrder([...steps, { ...INSERTED_STEP, ...change }])
  const merged = { ...known, ...change }
  const changed = steps.with(index, merged)
  return merged.sequence === known.sequence ? changed : inOrder(changed)
}

/** By `sequence`, a sub-step behind its parent, sub-steps as they were inserted. */
function inOrder(steps: readonly Step[]): Step[] {
  const family = ({ step, parent_step }: Step) => parent_step ?? step
  return [...steps].sort((a, b) => {
    if (a.sequence !== b.sequence) return a.sequence - b.sequence
    if (family(a) !== family(b)) return family(a) < family(b) ? -1 : 1
    return Number(a.parent_step !== null) - Number(b.parent_step !== null)
  })
}
