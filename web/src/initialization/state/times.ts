import type { Project } from '@/api/types'

/** Milliseconds from the start to the end or now: worked, and waited for a person. Null before the start. */
export function timesOf(project: Project, now: number): { worked: number; waited: number } | null {
  const { initialization_started_at: from, initialization_completed_at: to } = project
  if (from === null) return null
  // A worker of version 0.2 leaves the time when it retries.
  const since = project.status === 'failed' ? project.waiting_since : null
  const end = to === null ? now : Date.parse(to)
  // A recording of an earlier version has no `waited`.
  const waited = ((project.waited as number | undefined) ?? 0) + (since ? Math.max(0, end - Date.parse(since)) : 0)
  return { worked: Math.max(0, end - Date.parse(from) - waited), waited }
}
