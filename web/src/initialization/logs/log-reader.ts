import { ApiError, isFinal, toApiError, toFailure, type Failure } from '@/api/errors'
import { whyNoAnswer } from '@/api/origin'
import { Backoff } from '../sources/backoff'
import { watchWakeups } from '../sources/wakeups'
import { Slices } from './store/slices'
import type { LogEnd, LogGap, LogLine, LogRecord } from './store/line'

/** The server sends an empty line every 15 s. */
const SILENCE_MS = 40_000
const PAUSE_EACH = 64

export type ReaderState = 'connecting' | 'live' | 'lost' | 'ended' | 'failed'

export interface ReaderObserver {
  line(line: LogLine): void
  gap(gap: LogGap): void
  /**
   * `failure` comes with `failed`, and with `lost` where it is known; `end` with `ended`; `retryAt` in milliseconds
   * since 1970
   */
  state(state: ReaderState, more?: { failure?: Failure; retryAt?: number; end?: LogEnd }): void
}

export interface ReaderOptions {
  url: string
  /** where the API is */
  root: string
  /** false: read what is there, and no more */
  follow: boolean
  /** start with the last lines */
  tail?: number
  /** stop before this line */
  before?: number
  signedOut?: () => void
}

class Lost extends Error {}

/** Reads one log, line by line, and reconnects after the last line that came, so that none is missing and none comes twice. */
export class LogReader {
  private readonly stopping = new AbortController()
  private readonly backoff = new Backoff()
  private last = 0
  private wake: () => void = () => undefined

  constructor(
    private readonly options: ReaderOptions,
    private readonly observer: ReaderObserver,
  ) {}

  /** Resolves when nothing more will come. */
  async run(): Promise<void> {
    const stopWakeups = watchWakeups({ offline: () => undefined, awake: () => this.wake() })
    this.observer.state('connecting')
    try {
      while (!this.isStopped && !(await this.readOnce()));
    } finally {
      stopWakeups()
    }
  }

  retry(): void {
    this.wake()
  }

  stop(): void {
    this.stopping.abort()
    this.wake()
  }

  private get isStopped(): boolean {
    return this.stopping.signal.aborted
  }

  private get address(): string {
    const { url, follow, tail } = this.options
    const query = new URLSearchParams()
    if (this.last === 0 && tail !== undefined) query.set('tail', String(tail))
    else if (this.last > 0) query.set('after', String(this.last))
    if (follow) query.set('follow', 'true')
    return `${url}${url.includes('?') ? '&' : '?'}${query}`
  }

  /** One connection; whether there is nothing more to read. */
  private async readOnce(): Promise<boolean> {
    const connection = new AbortController()
    const stop = () => connection.abort()
    this.stopping.signal.addEventListener('abort', stop)
    try {
      const response = await this.open(connection.signal)
      this.backoff.reset()
      this.observer.state('live')
      return await this.take(response, connection)
    } catch (error) {
      return this.isStopped || (await this.recover(error))
    } finally {
      this.stopping.signal.removeEventListener('abort', stop)
      connection.abort()
    }
  }

  private async open(signal: AbortSignal): Promise<Response> {
    const response = await fetch(this.address, { signal, headers: { Accept: 'application/x-ndjson' } }).catch(
      async (reason: unknown) => {
        throw this.isStopped ? reason : await whyNoAnswer(this.options.root, reason)
      },
    )
    if (response.ok) return response
    throw toApiError(response, await response.json().catch(() => null))
  }

  private async take(response: Response, connection: AbortController): Promise<boolean> {
    const reader = response.body?.getReader()
    if (!reader) throw new Lost()
    const decoder = new TextDecoder()
    const slices = new Slices()
    let rest = ''
    let silence: ReturnType<typeof setTimeout> | undefined
    try {
      for (;;) {
        silence = setTimeout(() => connection.abort(), SILENCE_MS)
        const { done, value } = await reader.read()
        clearTimeout(silence)
        if (done) break
        const lines = (rest + decoder.decode(value, { stream: true })).split('\n')
        rest = lines.pop() ?? ''
        for (const [number, line] of lines.entries()) {
          if (number % PAUSE_EACH === 0) await slices.pause()
          if (this.isStopped) return true
          const ended = this.record(line)
          if (ended !== null) return ended
        }
      }
    } finally {
      clearTimeout(silence)
    }
    if (this.options.follow) throw new Lost()
    return true
  }

  /** Whether nothing more comes; null: go on. */
  private record(line: string): boolean | null {
    if (line.trim() === '') return null
    const record = JSON.parse(line) as LogRecord
    if ('end' in record) {
      if (record.end.outcome === null) return false
      this.observer.state('ended', { end: record.end })
      return true
    }
    if ('gap' in record) return this.gap(record.gap)
    if (this.isBefore(record.seq)) return true
    if (record.seq <= this.last) return null
    this.last = record.seq
    this.observer.line(record)
    return null
  }

  private gap(gap: LogGap): boolean | null {
    if (this.isBefore(gap.before)) return true
    if (gap.before - 1 <= this.last) return null
    this.last = gap.before - 1
    this.observer.gap(gap)
    return null
  }

  private isBefore(seq: number): boolean {
    return this.options.before !== undefined && seq >= this.options.before
  }

  /** Waits for the next try; true: there is none. */
  private async recover(error: unknown): Promise<boolean> {
    const failure = error instanceof ApiError ? toFailure(error) : undefined
    if (failure?.kind === 'signed_out') this.options.signedOut?.()
    if (failure && isFinal(failure)) {
      this.observer.state('failed', { failure })
      return true
    }
    const asked = error instanceof ApiError ? error.retryAfter : null
    const wait = asked === null ? this.backoff.next() : asked * 1000
    this.observer.state('lost', { retryAt: Date.now() + wait, ...(failure && { failure }) })
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait)
      this.wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.wake = () => undefined
    return this.isStopped
  }
}
