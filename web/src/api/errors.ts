import type { Problem } from './types'

/** An answer that is not a success, or none at all (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem = {},
    /** seconds after which the server asked to be tried again */
    readonly retryAfter: number | null = null,
  ) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`)
    this.name = 'ApiError'
  }
}

/** The API answers, but the browser keeps the answer from a page of another origin that the API does not know. */
export class OriginRefusedError extends ApiError {
  constructor(reason: string) {
    super(0, { detail: reason })
    this.name = 'OriginRefusedError'
  }
}

/**
 * - `no_project`: the component was given neither a project's id nor a source
 * - `origin_refused`: the API does not list this page's origin in STEPWAY_CORS_ORIGINS
 */
export type FailureKind =
  | 'no_project'
  | 'origin_refused'
  | 'not_found'
  | 'deleted'
  | 'forbidden'
  | 'signed_out'
  | 'unreachable'
  | 'unavailable'
  | 'unexpected'

/** Why there is nothing, or nothing newer, to show. */
export interface Failure {
  kind: FailureKind
  detail: string | null
}

const KINDS: Record<number, FailureKind> = {
  0: 'unreachable',
  401: 'signed_out',
  403: 'forbidden',
  404: 'not_found',
  410: 'deleted',
  // An id that is no UUID names no project.
  422: 'not_found',
  429: 'unavailable',
  502: 'unreachable',
  503: 'unavailable',
  504: 'unreachable',
}

export function toFailure(error: unknown): Failure {
  if (!(error instanceof ApiError)) return { kind: 'unexpected', detail: String(error) }
  if (error instanceof OriginRefusedError) return { kind: 'origin_refused', detail: null }
  return { kind: KINDS[error.status] ?? 'unexpected', detail: error.problem.detail ?? null }
}

const FINAL = new Set<FailureKind>(['not_found', 'deleted', 'forbidden', 'signed_out'])

/** A failure that no waiting cures. */
export function isFinal(failure: Failure): boolean {
  return FINAL.has(failure.kind)
}

export function toApiError(response: Response, body: unknown): ApiError {
  const retryAfter = Number.parseInt(response.headers.get('Retry-After') ?? '', 10)
  const problem = typeof body === 'object' && body !== null ? (body as Problem) : {}
  return new ApiError(response.status, problem, Number.isNaN(retryAfter) ? null : retryAfter)
}
