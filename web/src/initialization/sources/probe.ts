import { ApiError, toApiError } from '@/api/errors'

/**
 * Asks a stream's address once, since an EventSource that was refused cannot say why.
 * Returns whether a stream can be had, or the end that was seen still stands. Throws ApiError when refused.
 */
export async function probeStream(url: string): Promise<'open' | 'ended'> {
  const probe = new AbortController()
  try {
    const response = await fetch(url, { signal: probe.signal, headers: { Accept: 'text/event-stream' } })
    if (response.status === 204) return 'ended'
    if (response.ok) return 'open'
    throw toApiError(response, await response.json().catch(() => null))
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, { detail: String(error) })
  } finally {
    probe.abort()
  }
}
