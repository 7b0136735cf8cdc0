import type { EndStatus, Initialization, Project, Step, StepChange, StreamEvent } from '@/api/types'

/** What is known of one initialization. Never changed in place: an untouched step keeps its identity. */
export interface InitializationState {
  project: Project
  /** in order of `sequence`; sub-steps are rows too */
  steps: readonly Step[]
  progress: number
  version: number
  ended: EndStatus | null
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

function fromSnapshot({ project, steps, progress, version }: Initialization): InitializationState {
  return { project, steps: inOrder(steps), progress, version, ended: endOf(project) }
}

function apply(state: InitializationState, event: Exclude<StreamEvent, { type: 'snapshot' }>): InitializationState {
  switch (event.type) {
    case 'step': {
      const { version, progress, step } = event.data
      return { ...state, version, progress, steps: mergeStep(state.steps, step), ended: null }
    }
    case 'project': {
      const { version, progress, project: change } = event.data
      const project = { ...state.project, ...change }
      return { ...state, version, progress, project, ended: endOf(project) }
    }
    case 'end':
      return { ...state, version: event.data.version, ended: event.data.status }
  }
}

function mergeStep(steps: readonly Step[], change: StepChange): readonly Step[] {
  const index = steps.findIndex((step) => step.step === change.step)
  const known = steps[index]
  if (known === undefined) return inOrder([...steps, { ...newStep(), ...change }])
  const merged = { ...known, ...change }
  const changed = steps.with(index, merged)
  return merged.sequence === known.sequence ? changed : inOrder(changed)
}

/** What a row has before anything happened to it, for an event that holds only some of its fields. */
function newStep(): Omit<Step, 'step'> {
  return {
    id: '',
    project_id: '',
    display_name: '',
    sequence: Number.MAX_SAFE_INTEGER,
    status: 'pending',
    progress: 0,
    started_at: null,
    completed_at: null,
    duration: null,
    error: null,
    error_stack: null,
    metadata: null,
    created_at: '',
    updated_at: '',
    parent_step: null,
    message: null,
    attempt: 1,
    round: 1,
    weight: 0,
    optional: false,
    undone_at: null,
  }
}

function inOrder(steps: readonly Step[]): Step[] {
  return [...steps].sort((a, b) => a.sequence - b.sequence)
}

/** `failed` with no time of completion waits for a person: it has not ended. */
function endOf(project: Project): EndStatus | null {
  if (project.initialization_completed_at === null) return null
  const { status } = project
  return status === 'active' || status === 'failed' || status === 'cancelled' ? status : null
}
