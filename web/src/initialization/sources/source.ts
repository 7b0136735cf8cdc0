import type { Failure } from '@/api/errors'
import type { StreamEvent } from '@/api/types'

/**
 * - `connecting`: nothing has been shown yet
 * - `live`: every change arrives as it happens
 * - `reconnecting`: what is shown may be some seconds old; `retryAt` says when the next try is
 * - `polling`: no stream can be had, the snapshot is read again and again
 * - `offline`: the browser says there is no network
 * - `closed`: nothing more will come by itself
 */
export type ConnectionState = 'connecting' | 'live' | 'reconnecting' | 'polling' | 'offline' | 'closed'

export interface Connection {
  state: ConnectionState
  /** milliseconds since 1970, of the next try */
  retryAt?: number
}

export interface SourceObserver {
  event(event: StreamEvent): void
  connection(connection: Connection): void
  failure(failure: Failure): void
}

export interface OpenSource {
  /** Looks again now: after a click that should change something, or a gap that was found. */
  refresh(): void
  close(): void
}

/** Where the events of one initialization come from: an API, another tab, or a recording. */
export interface InitializationSource {
  open(observer: SourceObserver): OpenSource
}
