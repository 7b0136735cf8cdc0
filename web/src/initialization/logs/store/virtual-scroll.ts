/** The tallest box that all browsers draw right is about 17 million pixels. */
const TALLEST = 8_000_000
/** A scroll beyond so many screens is a jump, as with the bar; below, it is a way in pixels. */
const JUMP_SCREENS = 4

/**
 * Where a list of any height is, in a box of limited height. `top` is in pixels of the whole list. Where the box is lower
 * than the list, a small scroll moves by its pixels and a jump goes to the same share of the list.
 */
export class VirtualScroll {
  top = 0
  /** the box's scrollTop as it was last seen or set */
  position = 0
  private total = 0
  private view = 0

  constructor(private readonly tallest = TALLEST) {}

  /** The height of the box. */
  get height(): number {
    return Math.min(this.total, this.tallest)
  }

  get maxTop(): number {
    return Math.max(0, this.total - this.view)
  }

  get isAtEnd(): boolean {
    return this.top >= this.maxTop - 1
  }

  /** Whether the bar is not where the share of the list is; to be put right when nobody scrolls. */
  get isAstray(): boolean {
    return Math.abs(this.position - this.ideal) >= 1
  }

  /** Whether the box is at its end and the list is not: there is no way further before the bar is put right. */
  get isStuck(): boolean {
    if (!this.isAstray) return false
    return (this.position <= 0 && this.top > 0) || (this.position >= this.maxPosition - 1 && !this.isAtEnd)
  }

  private get isScaled(): boolean {
    return this.total > this.tallest
  }

  private get ideal(): number {
    if (!this.isScaled) return this.top
    return (this.top / this.maxTop) * this.maxPosition
  }

  private get maxPosition(): number {
    return Math.max(0, this.height - this.view)
  }

  resize(total: number, view: number): void {
    this.total = total
    this.view = view
    this.top = Math.min(this.top, this.maxTop)
  }

  /** Goes to a place; the box is then to be scrolled to `position`. */
  moveTo(top: number): void {
    this.top = Math.min(Math.max(0, top), this.maxTop)
    this.position = this.ideal
  }

  /** The box was scrolled. Returns by how many pixels of the list. */
  scrolled(scrollTop: number): number {
    const before = this.top
    const way = scrollTop - this.position
    this.position = scrollTop
    if (!this.isScaled) this.top = scrollTop
    else if (Math.abs(way) < JUMP_SCREENS * this.view) this.top += way
    else this.top = (scrollTop / this.maxPosition) * this.maxTop
    // A browser scrolls no further than the ends of the box.
    if (this.isScaled && scrollTop <= 0 && this.top < this.view) this.top = 0
    if (this.isScaled && scrollTop >= this.maxPosition - 1 && this.maxTop - this.top < this.view) this.top = this.maxTop
    this.top = Math.min(Math.max(0, this.top), this.maxTop)
    return this.top - before
  }
}
