type Callback = (lock: object | null) => Promise<void> | void

interface Waiting {
  callback: Callback
  resolve: () => void
  reject: (reason: unknown) => void
}

/** The part of navigator.locks that tabs share, for several "tabs" in one test. */
export class FakeLocks {
  private holder: Waiting | null = null
  private readonly queue: Waiting[] = []

  request = (_name: string, options: LockOptions, callback: Callback): Promise<void> =>
    new Promise((resolve, reject) => {
      const waiting = { callback, resolve, reject }
      if (options.ifAvailable && this.holder) void Promise.resolve(callback(null)).then(resolve, reject)
      else if (options.steal) this.steal(waiting)
      else this.wait(waiting, options.signal)
    })

  private wait(waiting: Waiting, signal?: AbortSignal): void {
    this.queue.push(waiting)
    signal?.addEventListener('abort', () => {
      const index = this.queue.indexOf(waiting)
      if (index < 0) return
      this.queue.splice(index, 1)
      waiting.reject(signal.reason)
    })
    this.grant()
  }

  private steal(waiting: Waiting): void {
    this.holder?.reject(new DOMException('stolen', 'AbortError'))
    this.holder = null
    this.queue.unshift(waiting)
    this.grant()
  }

  private grant(): void {
    if (this.holder) return
    const next = this.queue.shift()
    if (!next) return
    this.holder = next
    void Promise.resolve(next.callback({})).then(() => {
      next.resolve()
      if (this.holder !== next) return
      this.holder = null
      this.grant()
    })
  }
}
