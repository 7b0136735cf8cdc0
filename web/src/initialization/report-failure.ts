import type { Failure, FailureKind } from '@/api/errors'
import type { Text } from '@/text/text'
import { failureAdvice } from '@/ui/failure-advice'

/** What somebody who puts the component into a page can mend; an outage is none of these. */
const MISTAKES: readonly FailureKind[] = ['no_project', 'origin_refused', 'not_found', 'forbidden', 'signed_out']

/** Says in the console what to change, with the values that were given. */
export function reportFailure({ t }: Text, { kind, detail }: Failure, given: { project?: string; api: string }): void {
  if (!MISTAKES.includes(kind)) return
  const origin = location.origin
  const said = [`${t(`failure.${kind}.title`)}.`, failureAdvice(t, kind), detail]
  console.error(
    `Stepway: ${said.filter(Boolean).join(' ')} (project-id: ${given.project || 'none'}, API: ${given.api || origin})`,
  )
}
