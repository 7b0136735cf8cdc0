import createClient from 'openapi-fetch'
import { learnServerTime } from './clock'
import { toApiError } from './errors'
import { whyNoAnswer } from './origin'
import type { paths } from './schema'
import type {
  Attempt,
  Blueprint,
  CancelPreview,
  Estimate,
  HistoryPage,
  Initialization,
  Project,
  ProjectPage,
  ProjectStatus,
  RetryPreview,
  Session,
  StepStatistics,
} from './types'

interface Outcome {
  data?: unknown
  error?: unknown
  response: Response
}

export interface NewProject {
  name: string
  blueprint: string
  parameters: Record<string, unknown>
}

/** A read that hangs is given up; a write may wait for a worker, and the server says when it has waited enough. */
const READ_TIMEOUT_MS = 20_000

function send(request: Request): Promise<Response> {
  if (request.method !== 'GET') return fetch(request)
  return fetch(request, { signal: AbortSignal.timeout(READ_TIMEOUT_MS) })
}

/**
 * Every call of the page, typed, on one API. `baseUrl` is '' for the origin that served the page;
 * `signedOut` hears of each 401.
 */
export function createApi(baseUrl = '', signedOut: () => void = () => undefined) {
  const root = baseUrl.replace(/\/+$/, '')

  /** The body of a success; everything else is thrown as an ApiError. */
  async function answer<Data>(call: Promise<Outcome>): Promise<Data> {
    const sent = Date.now()
    const { data, error, response } = await call.catch(async (reason: unknown) => {
      throw await whyNoAnswer(root, reason)
    })
    learnServerTime(response.headers.get('Date'), sent)
    if (response.status === 401) signedOut()
    if (!response.ok) throw toApiError(response, error)
    return data as Data
  }

  const http = createClient<paths>({ baseUrl: root, fetch: send })
  const of = (project_id: string) => ({ params: { path: { project_id } } })
  const ofStep = (project_id: string, step: string) => ({ params: { path: { project_id, step } } })

  return {
    root,
    signedOut,
    session: () => answer<Session>(http.GET('/api/session')),
    signIn: (token: string) =>
      answer<Session>(http.POST('/api/session', { headers: { Authorization: `Bearer ${token}` } })),
    signOut: () => answer<undefined>(http.DELETE('/api/session')),
    projects: (query: { status?: ProjectStatus; limit?: number; cursor?: string }) =>
      answer<ProjectPage>(http.GET('/api/projects', { params: { query } })),
    create: (body: NewProject, key: string) =>
      answer<Initialization>(http.POST('/api/projects', { body, params: { header: { 'Idempotency-Key': key } } })),
    project: (id: string) => answer<Project>(http.GET('/api/projects/{project_id}', of(id))),
    initialization: (id: string) =>
      answer<Initialization>(http.GET('/api/projects/{project_id}/initialization', of(id))),
    history: (id: string, query: { after?: number; limit?: number; progress?: boolean }) =>
      answer<HistoryPage>(
        http.GET('/api/projects/{project_id}/initialization/history', { params: { path: { project_id: id }, query } }),
      ),
    /** one page, oldest first, without the first `after` */
    attempts: (id: string, step: string, after = 0) =>
      answer<Attempt[]>(
        http.GET('/api/projects/{project_id}/initialization/steps/{step}/attempts', {
          params: { path: { project_id: id, step }, query: { after } },
        }),
      ),
    previewRetry: (id: string, step: string) =>
      answer<RetryPreview>(http.GET('/api/projects/{project_id}/initialization/steps/{step}/retry', ofStep(id, step))),
    previewRetryOfAll: (id: string) =>
      answer<RetryPreview>(http.GET('/api/projects/{project_id}/initialization/retry', of(id))),
    previewCancel: (id: string) =>
      answer<CancelPreview>(http.GET('/api/projects/{project_id}/initialization/cancel', of(id))),
    retryStep: (id: string, step: string, parameters: Record<string, unknown> = {}) =>
      answer<Initialization>(
        http.POST('/api/projects/{project_id}/initialization/steps/{step}/retry', {
          ...ofStep(id, step),
          body: { parameters },
        }),
      ),
    retryAll: (id: string) =>
      answer<Initialization>(http.POST('/api/projects/{project_id}/initialization/retry', of(id))),
    skipStep: (id: string, step: string, reason: string) =>
      answer<Initialization>(
        http.POST('/api/projects/{project_id}/initialization/steps/{step}/skip', {
          ...ofStep(id, step),
          body: { reason },
        }),
      ),
    cancel: (id: string, undo: boolean) =>
      answer<Initialization>(
        http.POST('/api/projects/{project_id}/initialization/cancel', { ...of(id), body: { undo } }),
      ),
    blueprints: () => answer<Blueprint[]>(http.GET('/api/blueprints')),
    blueprint: (name: string) => answer<Blueprint>(http.GET('/api/blueprints/{name}', { params: { path: { name } } })),
    stepStatistics: (query: { blueprint?: string; since?: string }) =>
      answer<StepStatistics[]>(http.GET('/api/analytics/steps', { params: { query } })),
    estimate: (id: string) => answer<Estimate>(http.GET('/api/projects/{project_id}/initialization/estimate', of(id))),
    eventsUrl: (id: string) => `${root}/api/projects/${encodeURIComponent(id)}/initialization/events`,
    logsUrl: (id: string, step: string) =>
      `${root}/api/projects/${encodeURIComponent(id)}/initialization/steps/${encodeURIComponent(step)}/logs`,
  }
}

export type StepwayApi = ReturnType<typeof createApi>
