import type { InitializationSource, OpenSource, SourceObserver } from './source'
import type { StreamEvent } from '@/api/types'

/** One line of a recording: an event, and when it came, in milliseconds since the first. */
export type RecordedEvent = StreamEvent & { at: number }

export function parseRecording(ndjson: string): RecordedEvent[] {
  return ndjson
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as RecordedEvent)
}

/** Plays a recorded stream: at its own pace, `speed` times as fast, or (`Infinity`) all at once. */
export class RecordedSource implements InitializationSource {
  constructor(
    private readonly recording: readonly RecordedEvent[],
    private readonly speed = 1,
  ) {}

  open(observer: SourceObserver): OpenSource {
    const timers: ReturnType<typeof setTimeout>[] = []
    const play = (event: StreamEvent) => {
      observer.event(event)
      if (event.type === 'end') observer.connection({ state: 'closed' })
    }
    observer.connection({ state: 'live' })
    for (const recorded of this.recording) {
      if (this.speed === Infinity) play(recorded)
      else timers.push(setTimeout(() => play(recorded), recorded.at / this.speed))
    }
    return { refresh: () => undefined, close: () => timers.forEach(clearTimeout) }
  }
}
