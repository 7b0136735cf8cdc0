/**
 * One key for each thing that is asked for: sent again unchanged it keeps its key, so that nothing is made twice;
 * changed, it is another request.
 */
export function useIdempotencyKey() {
  let sent = ''
  let key = ''
  return (body: unknown): string => {
    const text = JSON.stringify(body)
    if (text !== sent) {
      sent = text
      key = randomKey()
    }
    return key
  }
}

/** `crypto.randomUUID` is there on secure origins only. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
