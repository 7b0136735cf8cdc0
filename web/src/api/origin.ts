import { ApiError, OriginRefusedError } from './errors'

const PATIENCE_MS = 5_000

/** Whether an API at this root is of another origin than the page, where cookies are not sent and CORS applies. */
export function isOtherOrigin(root: string): boolean {
  return new URL(root, location.href).origin !== location.origin
}

/**
 * Why a request got no answer. A browser does not say that it kept one back for want of CORS headers, so this asks for
 * the one file that the API lets every origin read.
 */
export async function whyNoAnswer(root: string, reason: unknown): Promise<ApiError> {
  if (isOtherOrigin(root)) {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const answers = await fetch(`${root}/stepway-progress.js`, { method: 'HEAD', signal }).catch(() => null)
    if (answers) return new OriginRefusedError(String(reason))
  }
  return new ApiError(0, { detail: String(reason) })
}
