import type { StepwayApi } from './client'
import { LiveSource } from './live-source'
import { SharedSource, canShare } from './shared-source'
import type { InitializationSource } from './source'

/** The best source this browser allows for one project. */
export function sourceFor(api: StepwayApi, projectId: string): InitializationSource {
  const options = {
    eventsUrl: api.eventsUrl(projectId),
    loadSnapshot: () => api.initialization(projectId),
    signedOut: api.signedOut,
  }
  return canShare() ? new SharedSource(`stepway:${options.eventsUrl}`, options) : new LiveSource(options)
}
