import type { StreamEvent } from '@/api/types'

/** An EventSource whose server is the test. */
export class FakeEventSource extends EventTarget {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSED = 2
  static opened: FakeEventSource[] = []

  readyState = FakeEventSource.CONNECTING
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null

  constructor(readonly url: string) {
    super()
    FakeEventSource.opened.push(this)
  }

  static get last(): FakeEventSource {
    const last = FakeEventSource.opened.at(-1)
    if (!last) throw new Error('No EventSource was opened')
    return last
  }

  /** Those that hold a connection. */
  static get alive(): FakeEventSource[] {
    return FakeEventSource.opened.filter(({ readyState }) => readyState !== FakeEventSource.CLOSED)
  }

  accept(): void {
    this.readyState = FakeEventSource.OPEN
    this.onopen?.()
  }

  send({ type, data }: StreamEvent): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }))
  }

  /** The connection is gone and the browser tries again by itself. */
  lose(): void {
    this.readyState = FakeEventSource.CONNECTING
    this.onerror?.()
  }

  /** The server refused: the browser gives up. */
  refuse(): void {
    this.readyState = FakeEventSource.CLOSED
    this.onerror?.()
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED
  }
}
