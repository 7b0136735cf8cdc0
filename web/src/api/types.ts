import type { EndStatus } from './facts'
import type { components } from './schema'

/** The shapes of the API's answers and events, by the names the page uses. Times are ISO 8601 with offset. */
type Schemas = components['schemas']

export type { EndStatus, ProjectStatus, StepStatus } from './facts'

/** One text, or one per language. */
export type LocalizedText = string | Record<string, string>

export interface UndoState {
  status: 'running' | 'completed' | 'failed'
  /** of the last attempt, while the rollback runs */
  error?: string | null
  next_attempt_at?: string
  asked_to_wait?: boolean
}

/** No worker has asked for the work of the queue since then; without a queue, of the main one. */
export interface WorkerWait {
  queue?: string
  since: string
}

/** What a step made, and what the tracking adds while it runs. Every key is optional. */
export interface StepMetadata {
  display_names?: Record<string, string>
  remedy?: string
  /** of `run_command`: `command`, `exit_status`, `output` */
  error_details?: Record<string, unknown> | null
  next_attempt_at?: string
  last_error?: string
  asked_to_wait?: boolean
  waiting_for_worker?: WorkerWait
  reason?: string
  slow?: boolean
  paused?: boolean
  undo?: UndoState
  [key: string]: unknown
}

export type Step = Omit<Schemas['Step'], 'metadata'> & {
  metadata: StepMetadata | null
  temporal_url?: string | null
}

export type Project = Schemas['Project'] & { temporal_url?: string | null }

export interface Initialization {
  project: Project
  steps: Step[]
  controls?: Offered | null
  /** 0 to 100 */
  progress: number
  version: number
}

export type StepChange = Partial<Step> & Pick<Step, 'step'>

export type StreamEvent =
  | { type: 'snapshot'; data: Initialization }
  | { type: 'step'; data: { version: number; progress: number; step: StepChange } }
  | { type: 'project'; data: { version: number; progress: number; project: Partial<Project> } }
  | { type: 'end'; data: { version: number; status: EndStatus } }

export type ProjectPage = Schemas['ProjectPage']
export type Attempt = Schemas['Attempt']
export type HistoryEvent = Schemas['HistoryEvent']
export type HistoryPage = Schemas['HistoryPage']
export type RetryPreview = Schemas['RetryPreview']
export type CancelPreview = Schemas['CancelPreview']
/** The controls that the caller may use now; absent in snapshots of the stream, which are the same for all. */
export type Offered = Schemas['Controls']

export type Estimate = Schemas['Estimate']
export type Session = Schemas['SessionState']
export type StepStatistics = Schemas['StepStatistics']

/** The part of JSON Schema that a blueprint's parameters use. */
export interface JsonSchema {
  type?: string | string[]
  title?: LocalizedText
  description?: LocalizedText
  default?: unknown
  examples?: unknown[]
  enum?: unknown[]
  const?: unknown
  format?: string
  pattern?: string
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  multipleOf?: number
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  items?: JsonSchema
  properties?: Record<string, JsonSchema>
  required?: string[]
  [keyword: string]: unknown
}

export type BlueprintStep = Schemas['BlueprintStep']
export type Blueprint = Omit<Schemas['Blueprint'], 'parameters'> & { parameters: JsonSchema }

/** `code` and `expected` come with refused parameters only. */
export type InvalidPart = Pick<Schemas['InvalidPart'], 'name' | 'pointer' | 'detail'> & Partial<Schemas['InvalidPart']>

/** RFC 9457; a proxy on the way may leave out any of it. */
export type Problem = Partial<Omit<Schemas['Problem'], 'errors'>> & { errors?: InvalidPart[] | null }
