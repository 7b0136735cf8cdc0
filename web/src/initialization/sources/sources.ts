import type { StepwayApi } from '@/api/client'
import { LiveSource } from './live-source'
import { SharedSource, canShare } from './shared-source'
import type { InitializationSource } from './source'
import type { Initialization } from '@/api/types'

/** A view that shows a skeleton for less than this flickers: the page waits for the snapshot instead. */
const PATIENCE_MS = 500

let ahead: { url: string; snapshot: Promise<Initialization> } | null = null

/** Starts to read what a view is about to show; done when the answer is there, or is not to be waited for. */
export async function readAhead(api: StepwayApi, projectId: string): Promise<void> {
  const reading = { url: api.eventsUrl(projectId), snapshot: api.initialization(projectId) }
  ahead = reading
  const answered = reading.snapshot.then(
    () => undefined,
    () => {
      // What refuses it may be over when the view asks, such as that nobody is signed in.
      if (ahead === reading) ahead = null
    },
  )
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))])
}

/** The snapshot read ahead, once: it may be some versions old, and the stream goes on from there. */
function takeAhead(url: string): Promise<Initialization> | null {
  const taken = ahead?.url === url ? ahead.snapshot : null
  ahead = null
  return taken
}

/** The best source this browser allows for one project. */
export function sourceFor(api: StepwayApi, projectId: string): InitializationSource {
  const eventsUrl = api.eventsUrl(projectId)
  const options = {
    eventsUrl,
    loadSnapshot: () => takeAhead(eventsUrl) ?? api.initialization(projectId),
    signedOut: api.signedOut,
  }
  return canShare() ? new SharedSource(`stepway:${eventsUrl}`, options) : new LiveSource(options)
}
