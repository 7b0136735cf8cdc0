/** The lines of `GET …/steps/{step}/logs` (NDJSON), by the names of the API. */
export const LEVELS = ['debug', 'info', 'warning', 'error'] as const
export const STREAMS = ['log', 'stdout', 'stderr'] as const

export type Level = (typeof LEVELS)[number]
export type Stream = (typeof STREAMS)[number]

export interface LogLine {
  /** counts from 1 in the attempt */
  seq: number
  /** ISO 8601 */
  at: string
  level: Level
  stream: Stream
  text: string
}

/** Lines that the server does not have, between `after` and `before`. */
export interface LogGap {
  after: number
  before: number
  lines: number
  /** null: not known */
  characters: number | null
}

export interface LogEnd {
  seq: number
  /** false: the worker was lost before it wrote the end of the log */
  complete?: boolean
  /** another attempt had begun before this one ended */
  superseded?: boolean
  /** null: the response ends, the log goes on */
  outcome: string | null
}

export type LogRecord = LogLine | { gap: LogGap } | { end: LogEnd }

/** One attempt of a step, or the rollback of a step. */
export interface LogOf {
  round: number
  attempt: number
  rollback?: boolean
}
