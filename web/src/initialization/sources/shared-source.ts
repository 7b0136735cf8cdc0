import { Backoff } from './backoff'
import { isFinal, toFailure, type Failure } from '@/api/errors'
import { LiveSource, type LiveSourceOptions } from './live-source'
import type { Connection, InitializationSource, OpenSource, SourceObserver } from './source'
import type { StreamEvent } from '@/api/types'
import { endedAfter } from '../state/fold'

/** How long the leading tab may take to answer before another takes over (it may be frozen). */
const ANSWER_MS = 3_000

type Message =
  | { kind: 'event'; event: StreamEvent }
  | { kind: 'connection'; connection: Connection }
  | { kind: 'failure'; failure: Failure }
  | { kind: 'hello' }
  | { kind: 'refresh' }

/** Locks need a secure origin; elsewhere each tab has its own stream. */
export function canShare(): boolean {
  return Boolean(navigator.locks) && 'BroadcastChannel' in globalThis
}

/**
 * One stream for all tabs on one project: HTTP/1.1 browsers open six connections to an origin.
 * The tab that holds the lock listens and tells the others; when it goes, the next in line follows on.
 */
export class SharedSource implements InitializationSource {
  constructor(
    private readonly name: string,
    private readonly options: LiveSourceOptions,
  ) {}

  open(observer: SourceObserver): OpenSource {
    const stream = new SharedStream(this.name, this.options, observer)
    stream.start()
    return stream
  }
}

class SharedStream implements OpenSource {
  private readonly channel: BroadcastChannel
  private readonly closing = new AbortController()
  private readonly backoff = new Backoff()
  private live: OpenSource | null = null
  private release: () => void = () => undefined
  private queued = false
  private version: number | null = null
  private ended = false
  /** the first snapshot, read while it is still open who leads */
  private first: Promise<void> | null = null
  /** what the leader said while the first snapshot was on its way */
  private held: StreamEvent[] | null = null
  private latest: Connection = { state: 'connecting' }
  private unanswered: ReturnType<typeof setTimeout> | undefined
  private retry: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly name: string,
    private readonly options: LiveSourceOptions,
    private readonly observer: SourceObserver,
  ) {
    this.channel = new BroadcastChannel(name)
    this.channel.onmessage = ({ data }: MessageEvent<Message>) => this.hear(data)
  }

  start(): void {
    const { signal } = this.closing
    document.addEventListener('visibilitychange', () => this.checkLeader(), { signal })
    this.first = this.restore()
    this.request({ ifAvailable: true })
  }

  refresh(): void {
    if (this.live) {
      this.live.refresh()
      return
    }
    this.tell({ kind: 'refresh' })
    void this.restore()
  }

  close(): void {
    this.closing.abort()
    clearTimeout(this.unanswered)
    clearTimeout(this.retry)
    this.stopLeading()
    this.channel.close()
  }

  /** Holds the lock, and with it the one stream, until this tab is closed or another takes over. */
  private async lead(): Promise<void> {
    await this.first
    this.first = null
    if (this.closing.signal.aborted) return
    clearTimeout(this.unanswered)
    clearTimeout(this.retry)
    this.queued = false
    this.held = null
    this.live = new LiveSource({ ...this.options, after: this.version, ended: this.ended }).open({
      event: (event) => {
        this.take(event)
        this.tell({ kind: 'event', event })
      },
      connection: (connection) => {
        this.report(connection)
        this.tell({ kind: 'connection', connection })
      },
      failure: (failure) => {
        this.observer.failure(failure)
        this.tell({ kind: 'failure', failure })
      },
    })
    await new Promise<void>((resolve) => {
      this.release = resolve
    })
  }

  private stopLeading(): void {
    this.live?.close()
    this.live = null
    this.release()
  }

  private follow(): void {
    if (this.closing.signal.aborted) return
    if (!this.queued) this.request({ signal: this.closing.signal })
    this.queued = true
    this.checkLeader()
    if (this.first === null) void this.restore()
    this.first = null
  }

  private request(options: LockOptions): void {
    navigator.locks
      .request(this.name, options, (lock) => (lock ? this.lead() : this.follow()))
      .catch(() => {
        // Another tab took the lock over, or this tab was closed while it waited.
        this.stopLeading()
        this.follow()
      })
  }

  private checkLeader(): void {
    if (this.live || document.visibilityState !== 'visible') return
    this.tell({ kind: 'hello' })
    clearTimeout(this.unanswered)
    this.unanswered = setTimeout(() => this.request({ steal: true }), ANSWER_MS)
  }

  private hear(message: Message): void {
    if (this.live) {
      if (message.kind === 'hello') this.tell({ kind: 'connection', connection: this.latest })
      if (message.kind === 'refresh') this.live.refresh()
      return
    }
    if (message.kind === 'hello' || message.kind === 'refresh') return
    clearTimeout(this.unanswered)
    if (message.kind === 'connection') this.report(message.connection)
    else if (message.kind === 'failure') this.observer.failure(message.failure)
    else if (this.held) this.held.push(message.event)
    else this.take(message.event)
  }

  private async restore(): Promise<void> {
    clearTimeout(this.retry)
    this.held ??= []
    try {
      const data = await this.options.loadSnapshot()
      if (this.closing.signal.aborted || this.live) return
      const held = this.held ?? []
      this.held = null
      if (this.version === null || data.version >= this.version) this.take({ type: 'snapshot', data })
      held.forEach((event) => this.take(event))
    } catch (error) {
      if (!this.live) this.recover(error)
    }
  }

  private recover(error: unknown): void {
    if (this.closing.signal.aborted) return
    const failure = toFailure(error)
    if (failure.kind === 'not_found' && this.version !== null) failure.kind = 'deleted'
    this.observer.failure(failure)
    if (!isFinal(failure)) this.retry = setTimeout(() => void this.restore(), this.backoff.next())
  }

  private take(event: StreamEvent): void {
    this.version = event.data.version
    this.ended = endedAfter(this.ended, event)
    this.observer.event(event)
  }

  private report(connection: Connection): void {
    this.latest = connection
    this.observer.connection(connection)
  }

  private tell(message: Message): void {
    if (!this.closing.signal.aborted) this.channel.postMessage(message)
  }
}
