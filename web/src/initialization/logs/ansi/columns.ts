const TAB = 8
const MARK = /^\p{M}$/u

/** Columns of a terminal: two for characters of East Asia and for pictures, none for marks, tabs to the next eighth. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    if (code === 9) columns += TAB - (columns % TAB)
    else if (code < 0x300) columns += 1
    else if (isWide(code)) columns += 2
    else columns += MARK.test(character) || code === 0x200d ? 0 : 1
  }
  return columns
}

function isWide(code: number): boolean {
  return (
    code >= 0x1100 &&
    (code <= 0x115f ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0xffe0 && code <= 0xffe6) ||
      (code >= 0x1f300 && code <= 0x1faff) ||
      code >= 0x20000)
  )
}
