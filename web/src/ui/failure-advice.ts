import type { FailureKind } from '@/api/errors'
import type { Text } from '@/text/text'

/** What to do about a failure. A page opened as a file has no origin that an API could allow. */
export function failureAdvice(t: Text['t'], kind: FailureKind): string {
  const { origin, protocol } = location
  if (kind === 'origin_refused' && (protocol === 'file:' || origin === 'null')) return t('failure.fileOrigin')
  return t(`failure.${kind}.text`, { origin })
}
