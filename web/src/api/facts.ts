/** Written by scripts/generate from stepway_tracking/record/facts.py. */
export const PROJECT_STATUSES = ["initializing", "active", "failed", "cancelled", "archived"] as const
export const END_STATUSES = ["active", "failed", "cancelled"] as const
export const STEP_STATUSES = ["pending", "running", "completed", "failed", "skipped"] as const
export const DONE_STATUSES = ["completed", "skipped"] as const
export const EVENT_TYPES = ["snapshot", "step", "project", "end"] as const
export const STEP_ACTIONS = [
  "started",
  "progressed",
  "attempt_failed",
  "interrupted",
  "paused",
  "completed",
  "failed",
  "skipped",
  "retried",
  "slow",
  "awaiting_worker",
  "undo_started",
  "undo_attempt_failed",
  "undone",
  "undo_failed"
] as const
export const SUB_STEP_ACTIONS = ["started", "progressed", "completed", "failed", "skipped", "reset"] as const
export const PROJECT_ACTIONS = [
  "failed",
  "retried",
  "resumed",
  "continued",
  "cancel_requested",
  "cancelled",
  "activated",
  "timed_out",
  "reconciled"
] as const
export const DERIVED_PROJECT_ACTIONS = ["planned", "reopened", "ended"] as const
export const ATTEMPT_OUTCOMES = [
  "completed",
  "skipped",
  "failed",
  "timed_out",
  "cancelled",
  "interrupted",
  "paused",
  "reset",
  "lost"
] as const
export const STEPWAY_METADATA = [
  "display_names",
  "retry",
  "next_attempt_at",
  "last_error",
  "asked_to_wait",
  "waiting_for_worker",
  "paused",
  "remedy",
  "error_details",
  "reason",
  "skipped_by",
  "slow",
  "undo"
] as const
export const INSERTED_STEP = {
  "id": "",
  "project_id": "",
  "display_name": "",
  "sequence": 2147483647,
  "status": "pending",
  "progress": 0,
  "started_at": null,
  "completed_at": null,
  "duration": null,
  "waited": 0,
  "error": null,
  "error_stack": null,
  "metadata": {},
  "created_at": "",
  "updated_at": "",
  "parent_step": null,
  "message": null,
  "attempt": 0,
  "round": 0,
  "weight": 0,
  "optional": false,
  "undone_at": null
} as const
export const FEWEST_FOR_ESTIMATE = 3
export const PROJECT_NAME = "^[a-z][a-z0-9-]{1,38}[a-z0-9]$"
export type ProjectStatus = (typeof PROJECT_STATUSES)[number]
export type EndStatus = (typeof END_STATUSES)[number]
export type StepStatus = (typeof STEP_STATUSES)[number]
export type EventType = (typeof EVENT_TYPES)[number]
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number]
