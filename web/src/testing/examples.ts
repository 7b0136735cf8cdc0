import { vi } from 'vitest'
import { parseRecording, type RecordedEvent } from '@/initialization/sources/recorded-source'
import type { Connection, SourceObserver } from '@/initialization/sources/source'
import type { Failure } from '@/api/errors'
import type { Initialization, Project, Step, StreamEvent } from '@/api/types'

const RECORDINGS = import.meta.glob<string>('../fixtures/*.ndjson', { query: '?raw', import: 'default', eager: true })
const TIME = '2026-03-02T09:00:00+00:00'

export function aStep(fields: Partial<Step> = {}): Step {
  return {
    id: '0198a3f2-7000-7000-8000-000000000001',
    project_id: '0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10',
    step: 'build',
    display_name: 'Build',
    sequence: 1,
    status: 'pending',
    progress: 0,
    started_at: null,
    completed_at: null,
    duration: null,
    waited: 0,
    error: null,
    error_stack: null,
    metadata: {},
    created_at: TIME,
    updated_at: TIME,
    parent_step: null,
    message: null,
    attempt: 1,
    round: 1,
    weight: 1,
    optional: false,
    undone_at: null,
    ...fields,
  }
}

export function aProject(fields: Partial<Project> = {}): Project {
  return {
    id: '0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10',
    name: 'payments',
    owner: 'local',
    blueprint: 'web-service',
    parameters: { port: 8080 },
    status: 'initializing',
    progress: 0,
    workflow_id: 'initialize-0198a3f2-6c1d-7d2e-9b1f-3f6f2a5d7c10',
    run_id: null,
    version: 1,
    initialization_started_at: TIME,
    initialization_completed_at: null,
    initialization_error: null,
    waited: 0,
    waiting_since: null,
    rollback: null,
    cancel_requested_at: null,
    created_at: TIME,
    updated_at: TIME,
    ...fields,
  }
}

export function anInitialization(version = 1, steps: Step[] = [aStep()], project: Partial<Project> = {}): Initialization {
  return { project: aProject({ version, ...project }), steps, progress: 0, version }
}

export function stepEvent(version: number, step: Partial<Step> & Pick<Step, 'step'>, progress = 0): StreamEvent {
  return { type: 'step', data: { version, progress, step } }
}

export function recording(name: string): RecordedEvent[] {
  const text = RECORDINGS[`../fixtures/${name}.ndjson`]
  if (text === undefined) throw new Error(`There is no recording ${name}`)
  return parseRecording(text)
}

/** Keeps all it is told. */
export class Observed implements SourceObserver {
  readonly events: StreamEvent[] = []
  readonly connections: Connection[] = []
  readonly failures: Failure[] = []

  event = (event: StreamEvent) => void this.events.push(event)
  connection = (connection: Connection) => void this.connections.push(connection)
  failure = (failure: Failure) => void this.failures.push(failure)

  get versions(): number[] {
    return this.events.map(({ data }) => data.version)
  }

  get state(): string | undefined {
    return this.connections.at(-1)?.state
  }
}

/** Dialogs are loaded when they open, which takes seconds on a busy machine. */
export function until(condition: () => void): Promise<void> {
  return vi.waitFor(condition, { timeout: 30_000, interval: 20 })
}
