/** Work that lasts is cut into slices, so that the page answers in between. */
const SLICE_MS = 8

const waiting: (() => void)[] = []
let channel: MessageChannel | null = null

/** Lets the browser draw and take input. Not by a timer: those wait for longer, and for a second in a hidden tab. */
function breathe(): Promise<void> {
  if (channel === null) {
    channel = new MessageChannel()
    channel.port1.onmessage = () => waiting.shift()?.()
  }
  const { port2 } = channel
  return new Promise((resolve) => {
    waiting.push(resolve)
    port2.postMessage(null)
  })
}

export class Slices {
  private began = performance.now()

  /** Goes on at once while there is time, else after the browser had its turn. */
  async pause(): Promise<void> {
    if (performance.now() - this.began < SLICE_MS) return
    await breathe()
    this.began = performance.now()
  }
}
