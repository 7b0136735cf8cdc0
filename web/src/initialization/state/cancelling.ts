import type { Project, ProjectStatus } from '@/api/types'

/** Whether a cancel was requested and is not complete. */
export function isBeingCancelled(project: Project): boolean {
  // A worker of version 0.2 does not clear the time, and its events do not have it.
  const wasRequested = (project.cancel_requested_at ?? null) !== null
  const isOpen = project.status === 'initializing' || project.status === 'failed'
  return wasRequested && isOpen && project.initialization_completed_at === null
}

/** The status that people see. */
export function shownStatus(project: Project): ProjectStatus | 'cancelling' {
  return isBeingCancelled(project) ? 'cancelling' : project.status
}
