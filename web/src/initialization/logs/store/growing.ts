type Typed = Uint32Array | Uint8Array

/** A typed array that doubles when it is full. */
export class Growing<Kind extends Typed> {
  length = 0

  constructor(private items: Kind) {}

  static uint32(): Growing<Uint32Array> {
    return new Growing<Uint32Array>(new Uint32Array(1024))
  }

  static uint8(): Growing<Uint8Array> {
    return new Growing<Uint8Array>(new Uint8Array(1024))
  }

  push(value: number): void {
    if (this.length === this.items.length) {
      const larger = new (this.items.constructor as new (size: number) => Kind)(this.items.length * 2)
      larger.set(this.items)
      this.items = larger
    }
    this.items[this.length++] = value
  }

  at(index: number): number {
    return this.items[index] ?? 0
  }

  clear(): void {
    this.length = 0
  }

  /** The first index whose value is at least this one, in sorted items. */
  lowerBound(value: number): number {
    let [low, high] = [0, this.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.at(middle) < value) low = middle + 1
      else high = middle
    }
    return low
  }
}
