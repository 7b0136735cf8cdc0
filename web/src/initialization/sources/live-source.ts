import { Backoff } from './backoff'
import { ApiError, isFinal, toFailure } from '@/api/errors'
import { EVENT_TYPES } from '@/api/facts'
import { probeStream } from './probe'
import type { InitializationSource, OpenSource, SourceObserver } from './source'
import type { Initialization, StreamEvent } from '@/api/types'
import { watchWakeups } from './wakeups'
import { hasEnded } from '../state/fold'

/** How long the browser may try by itself before we look for the reason. */
const PATIENCE_MS = 8_000

export interface LiveSourceOptions {
  eventsUrl: string
  loadSnapshot: () => Promise<Initialization>
  /** start from this version, known from another tab, without loading a snapshot */
  after?: number | null
  /** whether it had ended by then: there is nothing to listen to until somebody asks again */
  ended?: boolean
  /** hears that the stream was refused to somebody who has to sign in */
  signedOut?: () => void
}

/** The API's stream: snapshot first, then an EventSource that resumes after the last version seen. */
export class LiveSource implements InitializationSource {
  constructor(private readonly options: LiveSourceOptions) {}

  open(observer: SourceObserver): OpenSource {
    const stream = new LiveStream(this.options, observer)
    stream.start()
    return stream
  }
}

class LiveStream implements OpenSource {
  private events: EventSource | null = null
  private timer: ReturnType<typeof setTimeout> | null = null
  private readonly backoff = new Backoff()
  private version: number | null
  /** Each new try makes the answers of older ones stale. */
  private round = 0
  private stopWakeups: () => void = () => undefined

  constructor(
    private readonly options: LiveSourceOptions,
    private readonly observer: SourceObserver,
  ) {
    this.version = options.after ?? null
  }

  start(): void {
    this.stopWakeups = watchWakeups({ offline: () => this.goOffline(), awake: () => this.refresh() })
    this.observer.connection({ state: 'connecting' })
    if (this.version === null) void this.restore()
    else if (this.options.ended) this.observer.connection({ state: 'closed' })
    else this.listen()
  }

  refresh(): void {
    this.backoff.reset()
    void this.restore()
  }

  close(): void {
    this.disconnect()
    this.stopWakeups()
  }

  /** Reads the snapshot, and follows the stream from there unless the initialization has ended. */
  private async restore(): Promise<void> {
    const round = this.disconnect()
    try {
      const snapshot = await this.options.loadSnapshot()
      if (round !== this.round) return
      this.takeSnapshot(snapshot)
      if (hasEnded(snapshot)) this.observer.connection({ state: 'closed' })
      else this.listen()
    } catch (error) {
      if (round === this.round) this.recover(error)
    }
  }

  private takeSnapshot(snapshot: Initialization): void {
    if (this.version !== null && snapshot.version < this.version) return
    this.version = snapshot.version
    this.observer.event({ type: 'snapshot', data: snapshot })
  }

  private get url(): string {
    return `${this.options.eventsUrl}?after=${this.version ?? 0}`
  }

  private listen(): void {
    const round = this.disconnect()
    const events = new EventSource(this.url)
    this.events = events
    events.onopen = () => this.opened()
    events.onerror = () => this.failed(events, round)
    for (const type of EVENT_TYPES) {
      events.addEventListener(type, (message: MessageEvent<string>) => this.receive(type, message.data))
    }
  }

  private opened(): void {
    this.stopTimer()
    this.backoff.reset()
    this.observer.connection({ state: 'live' })
  }

  private receive(type: StreamEvent['type'], text: string): void {
    const event = { type, data: JSON.parse(text) } as StreamEvent
    this.version = event.data.version
    this.observer.event(event)
    if (type !== 'end') return
    this.disconnect()
    this.observer.connection({ state: 'closed' })
  }

  private failed(events: EventSource, round: number): void {
    if (events.readyState === EventSource.CLOSED) {
      void this.findReason(round)
      return
    }
    this.observer.connection({ state: 'reconnecting' })
    this.timer ??= setTimeout(() => void this.restore(), PATIENCE_MS)
  }

  private async findReason(round: number): Promise<void> {
    try {
      const found = await probeStream(this.url)
      if (round !== this.round) return
      if (found === 'ended') this.observer.connection({ state: 'closed' })
      else this.retryIn(this.backoff.next())
    } catch (error) {
      if (round === this.round) this.recover(error)
    }
  }

  private recover(error: unknown): void {
    const failure = toFailure(error)
    if (failure.kind === 'not_found' && this.version !== null) failure.kind = 'deleted'
    this.observer.failure(failure)
    if (failure.kind === 'signed_out') this.options.signedOut?.()
    if (isFinal(failure)) {
      this.disconnect()
      this.observer.connection({ state: 'closed' })
      return
    }
    const asked = error instanceof ApiError ? error.retryAfter : null
    const retryAt = this.retryIn(asked === null ? this.backoff.next() : asked * 1000)
    if (failure.kind === 'unavailable') void this.poll(this.round, retryAt)
  }

  /** No stream just now: at least the newest snapshot, if it can be had. */
  private async poll(round: number, retryAt: number): Promise<void> {
    const snapshot = await this.options.loadSnapshot().catch(() => null)
    if (snapshot === null || round !== this.round) return
    this.takeSnapshot(snapshot)
    this.observer.connection({ state: 'polling', retryAt })
  }

  private retryIn(wait: number): number {
    const round = this.disconnect()
    const retryAt = Date.now() + wait
    this.observer.connection({ state: 'reconnecting', retryAt })
    this.timer = setTimeout(() => round === this.round && void this.restore(), wait)
    return retryAt
  }

  private goOffline(): void {
    this.disconnect()
    this.observer.connection({ state: 'offline' })
  }

  private disconnect(): number {
    this.stopTimer()
    this.events?.close()
    this.events = null
    this.round += 1
    return this.round
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }
}
