-- Version 3 of the record's functions. A file that has landed never changes: a new version of a
-- function, and of the functions that call it, goes into a new file and a new migration.
-- One change of the record is one call of stepway_record_v3, in one transaction.
-- docs/decisions/0001-record-in-one-function.md says why this is a function.

-- Names that stepway_tracking/record/facts.py has too: the actions of a step, and the fields of its
-- metadata that belong to one round only. All other fields are the step's result.

CREATE FUNCTION stepway_step_actions_v3() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['started', 'progressed', 'attempt_failed', 'interrupted', 'paused', 'completed',
               'failed', 'skipped', 'retried', 'slow', 'awaiting_worker', 'undo_started',
               'undo_attempt_failed', 'undone', 'undo_failed'];
$$;

CREATE FUNCTION stepway_passing_v3() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
  SELECT ARRAY['next_attempt_at', 'last_error', 'asked_to_wait', 'waiting_for_worker', 'paused',
               'remedy', 'error_details', 'reason', 'skipped_by', 'slow', 'undo'];
$$;

-- What clients see of a project. Postgres inlines this into a query, which then does not read the
-- column `definition`.
CREATE FUNCTION stepway_project_json_v3(p projects) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', p.id, 'name', p.name, 'owner', p.owner, 'blueprint', p.blueprint,
    'parameters', p.parameters, 'status', p.status, 'progress', p.progress,
    'workflow_id', p.workflow_id, 'run_id', p.run_id, 'version', p.version,
    'initialization_started_at', p.initialization_started_at,
    'initialization_completed_at', p.initialization_completed_at,
    'initialization_error', p.initialization_error, 'waited', p.waited,
    'waiting_since', p.waiting_since, 'rollback', p.rollback,
    'cancel_requested_at', p.cancel_requested_at,
    'created_at', p.created_at, 'updated_at', p.updated_at);
$$;

-- What clients see of a step.
CREATE FUNCTION stepway_step_json_v3(s project_initialization_steps) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', s.id, 'project_id', s.project_id, 'step', s.step, 'display_name', s.display_name,
    'sequence', s.sequence, 'status', s.status, 'progress', s.progress,
    'started_at', s.started_at, 'completed_at', s.completed_at, 'duration', s.duration,
    'waited', s.waited, 'error', s.error, 'error_stack', s.error_stack, 'metadata', s.metadata,
    'created_at', s.created_at, 'updated_at', s.updated_at, 'parent_step', s.parent_step,
    'message', s.message, 'attempt', s.attempt, 'round', s.round, 'weight', s.weight,
    'optional', s.optional, 'undone_at', s.undone_at);
$$;

-- The steps of a project in order, each sub-step after its parent.
CREATE FUNCTION stepway_steps_json_v3(p_project uuid) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT coalesce(
    jsonb_agg(stepway_step_json_v3(s)
              ORDER BY s.sequence, coalesce(s.parent_step, s.step),
                       s.parent_step IS NOT NULL, s.created_at),
    '[]'::jsonb)
  FROM project_initialization_steps s WHERE s.project_id = p_project;
$$;

CREATE FUNCTION stepway_initialization_json_v3(p projects) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'project', stepway_project_json_v3(p), 'steps', stepway_steps_json_v3(p.id),
    'progress', p.progress, 'version', p.version);
$$;

-- Whole milliseconds from one time to another; 0 where p_from is null or after p_to.
CREATE FUNCTION stepway_milliseconds_v3(p_from timestamptz, p_to timestamptz) RETURNS integer
LANGUAGE sql IMMUTABLE AS $$
  SELECT greatest(0, least(coalesce(extract(epoch FROM p_to - p_from) * 1000, 0),
                           2147483647))::integer;
$$;

-- Milliseconds that a project was not worked on since it failed, waiting for a person, or ended.
CREATE FUNCTION stepway_idle_v3(
  p_status text, p_waiting_since timestamptz, p_completed_at timestamptz, p_now timestamptz
) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_status = 'initializing' THEN 0 ELSE greatest(0, coalesce(
    extract(epoch FROM p_now - coalesce(p_waiting_since, p_completed_at)) * 1000, 0)) END::bigint;
$$;

-- Milliseconds that a step has waited for a person's decision since it failed.
CREATE FUNCTION stepway_undecided_v3(s project_initialization_steps, p_now timestamptz)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN s.status <> 'failed' THEN 0 ELSE greatest(0, coalesce(
    extract(epoch FROM p_now - s.completed_at) * 1000, 0)) END::bigint;
$$;

-- Give the project its next version and append the event of that version.
-- p_type decides what the event contains: 'project' the project's row, 'end' its status, 'step'
-- p_step_json.
CREATE FUNCTION stepway_emit_v3(
  p_project uuid, p_type text, p_action text, p_step text, p_actor text,
  p_step_json jsonb, p_points bigint, p_change_id text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  p projects;
  body jsonb;
BEGIN
  UPDATE projects SET
    version = version + 1,
    points = points + p_points,
    progress = CASE
      WHEN status = 'active' THEN 100
      WHEN points_total = 0 THEN 0
      ELSE ((points + p_points) * 100 / points_total)::integer END,
    updated_at = clock_timestamp()
  WHERE id = p_project RETURNING * INTO p;
  body := CASE p_type
    WHEN 'end' THEN jsonb_build_object('version', p.version, 'status', p.status)
    WHEN 'project' THEN jsonb_build_object(
      'version', p.version, 'progress', p.progress, 'project', stepway_project_json_v3(p))
    ELSE jsonb_build_object('version', p.version, 'progress', p.progress, 'step', p_step_json)
  END;
  INSERT INTO project_initialization_events
    (project_id, version, type, action, step, actor, payload, at, change_id)
  VALUES
    (p_project, p.version, p_type, p_action, p_step, p_actor, body, p.updated_at, p_change_id);
  RETURN p.version;
END $$;

-- Insert a project and all its steps, once.
-- `said` is 'planned', 'repeat', 'expired' or 'name_taken'.
CREATE FUNCTION stepway_plan_v3(p_project jsonb, p_steps jsonb, p_deadline timestamptz)
RETURNS TABLE (said text, messages text[]) LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := clock_timestamp();
  v_id uuid := p_project->>'id';
  p projects;
BEGIN
  IF EXISTS (SELECT FROM projects WHERE id = v_id) THEN
    RETURN QUERY SELECT 'repeat', ARRAY[]::text[];
    RETURN;
  END IF;
  IF v_now > p_deadline THEN
    RETURN QUERY SELECT 'expired', ARRAY[]::text[];
    RETURN;
  END IF;
  INSERT INTO projects
    (id, name, owner, blueprint, parameters, definition, request_hash, workflow_id, run_id,
     task_queue, version, points_total, initialization_started_at, created_at, updated_at)
  SELECT v_id, p_project->>'name', p_project->>'owner', p_project->>'blueprint',
         p_project->'parameters', p_project->'definition', p_project->>'request_hash',
         p_project->>'workflow_id', p_project->>'run_id', nullif(p_project->>'task_queue', ''), 1,
         100 * coalesce(sum((s->>'weight')::bigint), 0), v_now, v_now, v_now
  FROM jsonb_array_elements(p_steps) s
  ON CONFLICT DO NOTHING RETURNING * INTO p;
  IF p.id IS NULL THEN
    RETURN QUERY SELECT
      CASE WHEN EXISTS (SELECT FROM projects WHERE id = v_id) THEN 'repeat' ELSE 'name_taken' END,
      ARRAY[]::text[];
    RETURN;
  END IF;
  INSERT INTO project_initialization_steps
    (project_id, step, display_name, sequence, weight, optional, queue, metadata, created_at,
     updated_at)
  SELECT v_id, s->>'step', s->>'display_name', n, (s->>'weight')::integer,
         (s->>'optional')::boolean, nullif(s->>'queue', ''), s->'metadata', v_now, v_now
  FROM jsonb_array_elements(p_steps) WITH ORDINALITY AS all_steps(s, n);
  INSERT INTO project_initialization_events
    (project_id, version, type, action, actor, payload, at)
  VALUES
    (v_id, 1, 'snapshot', 'planned', p_project->>'actor', stepway_initialization_json_v3(p), v_now);
  RETURN QUERY SELECT 'planned', ARRAY[
    jsonb_build_object('version', 1, 'type', 'snapshot', 'data', e.payload)::text]
  FROM project_initialization_events e WHERE e.project_id = v_id AND e.version = 1;
END $$;

-- End the sub-steps of a step that have the status p_from.
CREATE FUNCTION stepway_end_parts_v3(
  p_project uuid, p_step text, p_from text, p_status text, p_now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s project_initialization_steps;
BEGIN
  FOR s IN
    UPDATE project_initialization_steps SET
      status = p_status,
      progress = CASE WHEN p_status = 'completed' THEN 100 ELSE progress END,
      completed_at = p_now, updated_at = p_now,
      duration = stepway_milliseconds_v3(started_at, p_now)
    WHERE project_id = p_project AND parent_step = p_step AND status = p_from
    RETURNING *
  LOOP
    PERFORM stepway_emit_v3(p_project, 'step', p_status, s.step, NULL, stepway_step_json_v3(s), 0,
                            NULL);
  END LOOP;
END $$;

-- Set the sub-steps of a step back to pending, because the step runs again.
CREATE FUNCTION stepway_reset_parts_v3(p_project uuid, p_step text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s project_initialization_steps;
BEGIN
  FOR s IN
    UPDATE project_initialization_steps SET
      status = 'pending', progress = 0, started_at = NULL, completed_at = NULL, duration = NULL,
      error = NULL, updated_at = p_now
    WHERE project_id = p_project AND parent_step = p_step AND status <> 'pending'
    RETURNING *
  LOOP
    PERFORM stepway_emit_v3(p_project, 'step', 'reset', s.step, NULL, stepway_step_json_v3(s), 0,
                            NULL);
  END LOOP;
END $$;

-- Record progress of a sub-step. Its first report inserts the row and completes the sub-step before
-- it. A sub-step whose name is the name of another step is not recorded.
CREATE FUNCTION stepway_part_v3(parent project_initialization_steps, c jsonb, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_name text := parent.step || '.' || (c->>'name');
  v_percent integer := least(greatest((c->>'percent')::integer, 0), 100);
  s project_initialization_steps;
BEGIN
  SELECT * INTO s FROM project_initialization_steps
  WHERE project_id = parent.project_id AND step = v_name;
  IF s.id IS NOT NULL AND s.parent_step IS DISTINCT FROM parent.step THEN
    RETURN;
  END IF;
  IF s.id IS NULL OR s.status NOT IN ('running', 'completed') THEN
    PERFORM stepway_end_parts_v3(parent.project_id, parent.step, 'running', 'completed', p_now);
    INSERT INTO project_initialization_steps AS t
      (project_id, step, parent_step, display_name, sequence, status, progress, started_at,
       attempt, round, weight, created_at, updated_at)
    VALUES (parent.project_id, v_name, parent.step, c->>'display_name', parent.sequence, 'running',
            v_percent, p_now, parent.attempt, parent.round, 0, clock_timestamp(), p_now)
    ON CONFLICT (project_id, step) DO UPDATE SET
      status = 'running', progress = excluded.progress, started_at = p_now, completed_at = NULL,
      duration = NULL, error = NULL, attempt = excluded.attempt, round = excluded.round,
      updated_at = p_now
    RETURNING * INTO s;
    PERFORM stepway_emit_v3(s.project_id, 'step', 'started', s.step, NULL,
                            stepway_step_json_v3(s), 0, NULL);
  ELSIF s.status = 'running' AND v_percent > s.progress AND v_percent < 100 THEN
    UPDATE project_initialization_steps SET progress = v_percent, updated_at = p_now
    WHERE id = s.id RETURNING * INTO s;
    PERFORM stepway_emit_v3(
      s.project_id, 'step', 'progressed', s.step, NULL,
      jsonb_build_object('step', s.step, 'progress', s.progress, 'updated_at', s.updated_at),
      0, NULL);
  END IF;
  IF v_percent = 100 THEN
    PERFORM stepway_end_parts_v3(parent.project_id, parent.step, 'running', 'completed', p_now);
  END IF;
END $$;

-- Record the changed fields of a running step. Progress within an attempt never goes down.
CREATE FUNCTION stepway_progress_v3(s project_initialization_steps, c jsonb, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_progress integer := least(greatest(s.progress, (c->>'progress')::integer), 100);
  v_message text := coalesce(nullif(c->>'message', ''), s.message);
  v_points bigint;
  part jsonb;
BEGIN
  FOR part IN SELECT * FROM jsonb_array_elements(coalesce(c->'sub_steps', '[]')) LOOP
    PERFORM stepway_part_v3(s, part, p_now);
  END LOOP;
  IF v_progress = s.progress AND v_message IS NOT DISTINCT FROM s.message THEN
    RETURN false;
  END IF;
  v_points := greatest(s.points, v_progress::bigint * s.weight);
  UPDATE project_initialization_steps SET
    progress = v_progress, message = v_message, points = v_points, updated_at = p_now
  WHERE id = s.id;
  PERFORM stepway_emit_v3(
    s.project_id, 'step', 'progressed', s.step, NULL,
    jsonb_build_object('step', s.step, 'progress', v_progress, 'message', v_message,
                       'updated_at', p_now),
    v_points - s.points, NULL);
  RETURN true;
END $$;

-- How the attempts of a step's current round ended: 'failures' are the step's own, 'losses' those
-- that were cut off from outside, 'waits' those that another system asked to wait. The latter end as
-- 'interrupted' too, but with an error.
CREATE FUNCTION stepway_spent_v3(s project_initialization_steps) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'failures', count(*) FILTER (WHERE a.outcome IN ('failed', 'timed_out')),
    'losses', count(*) FILTER (WHERE a.outcome = 'lost'
                                  OR a.outcome = 'interrupted' AND a.error IS NULL),
    'waits', count(*) FILTER (WHERE a.outcome = 'interrupted' AND a.error IS NOT NULL))
  FROM project_initialization_attempts a
  WHERE a.project_id = s.project_id AND a.step = s.step AND a.round = s.round;
$$;

-- How the earlier attempts at rolling a step back ended, as for the attempts at a step. They are
-- those of the activity that the change with this ID belongs to.
CREATE FUNCTION stepway_undo_spent_v3(p_project uuid, p_step text, p_change_id text) RETURNS jsonb
LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'failures', count(*) FILTER (WHERE e.action = 'undo_attempt_failed' AND NOT w.waits),
    'losses', greatest(0, count(*) FILTER (WHERE e.action = 'undo_started')
                          - count(*) FILTER (WHERE e.action = 'undo_attempt_failed')),
    'waits', count(*) FILTER (WHERE e.action = 'undo_attempt_failed' AND w.waits))
  FROM project_initialization_events e,
    LATERAL (SELECT e.payload->'step'->'metadata'->'undo' ? 'asked_to_wait' AS waits) w
  WHERE e.project_id = p_project AND e.step = p_step AND e.change_id <> p_change_id
    AND starts_with(e.change_id, split_part(p_change_id, '/', 1) || '/'
                                 || split_part(p_change_id, '/', 2) || '/');
$$;

-- Start an attempt. If this activity has completed before, return its kept result instead.
CREATE FUNCTION stepway_start_v3(s project_initialization_steps, c jsonb, p_now timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  kept bytea;
  v_attempt integer := (c->>'attempt')::integer;
  same_round boolean;
BEGIN
  SELECT a.result INTO kept FROM project_initialization_attempts a
  WHERE a.project_id = s.project_id AND a.step = s.step AND a.result IS NOT NULL
    AND a.run_id = c->>'run_id' AND a.activity_id = c->>'activity_id';
  IF kept IS NOT NULL THEN
    RETURN jsonb_build_object('said', 'kept', 'result', encode(kept, 'base64'));
  END IF;
  -- A person's retry and an operator's reset start another round. After a reset Temporal counts
  -- attempts from 1 or, if the first attempt was running at the time of the reset, from 2.
  same_round := s.run_id IS NOT DISTINCT FROM c->>'run_id' AND v_attempt > s.attempt
    AND s.activity_id IS NOT DISTINCT FROM c->>'activity_id'
    AND NOT EXISTS (SELECT FROM project_initialization_attempts a
                    WHERE a.project_id = s.project_id AND a.step = s.step AND a.round = s.round
                      AND a.attempt = s.attempt AND a.outcome = 'reset');
  UPDATE project_initialization_attempts SET
    ended_at = p_now, outcome = 'lost',
    error = 'The attempt stopped reporting: its worker died or it timed out.'
  WHERE project_id = s.project_id AND step = s.step AND ended_at IS NULL;
  UPDATE projects SET status = 'initializing', initialization_completed_at = NULL,
    initialization_error = NULL, rollback = NULL, run_id = c->>'run_id', waiting_since = NULL,
    cancel_requested_at = NULL,
    waited = waited + stepway_idle_v3(status, waiting_since, initialization_completed_at, p_now)
  WHERE id = s.project_id
    AND (status <> 'initializing' OR run_id IS DISTINCT FROM c->>'run_id');
  IF FOUND THEN
    PERFORM stepway_emit_v3(s.project_id, 'project', 'reopened', NULL, NULL, NULL, 0, NULL);
  END IF;
  PERFORM stepway_reset_parts_v3(s.project_id, s.step, p_now);
  UPDATE project_initialization_steps t SET
    status = 'running', progress = 0, message = NULL, attempt = v_attempt,
    round = CASE WHEN same_round THEN s.round ELSE s.round + 1 END,
    started_at = CASE WHEN same_round THEN coalesce(s.started_at, p_now) ELSE p_now END,
    completed_at = NULL, duration = NULL, error = NULL, error_stack = NULL, undone_at = NULL,
    waited = s.waited + stepway_undecided_v3(s, p_now),
    metadata = s.metadata - stepway_passing_v3()
      || CASE WHEN same_round AND s.metadata ? 'last_error'
              THEN jsonb_build_object('last_error', s.metadata->'last_error') ELSE '{}' END,
    run_id = c->>'run_id', activity_id = c->>'activity_id',
    fence = coalesce((c->>'fence')::timestamptz, s.fence), updated_at = p_now
  WHERE t.id = s.id RETURNING * INTO s;
  INSERT INTO project_initialization_attempts
    (project_id, step, round, attempt, run_id, activity_id, started_at, worker)
  VALUES (s.project_id, s.step, s.round, s.attempt, s.run_id, s.activity_id, p_now, c->>'worker');
  PERFORM stepway_emit_v3(s.project_id, 'step', 'started', s.step, NULL, stepway_step_json_v3(s), 0,
                       c->>'change_id');
  RETURN jsonb_build_object('said', 'applied') || stepway_spent_v3(s);
END $$;

-- Make any other change of a step, by its action:
--   attempt_failed, interrupted, paused  the attempt has ended, the step is still running
--   completed, failed, skipped           the step has ended
--   retried                              a person or an operator runs it again
--   slow                                 an attempt takes longer than usual
--   awaiting_worker                      no worker asks for the step's work; without metadata, one
--                                        does again
--   undo_…, undone                       the step is rolled back
CREATE FUNCTION stepway_change_v3(s project_initialization_steps, c jsonb, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_action text := c->>'action';
  v_ends boolean := v_action IN ('completed', 'failed', 'skipped');
  v_restarts boolean := v_action = 'retried';
  v_points bigint := CASE
    -- A step that a cancel has skipped makes no progress.
    WHEN v_action = 'skipped' AND c->>'outcome' = 'cancelled' THEN s.points
    WHEN v_action IN ('completed', 'skipped') THEN 100::bigint * s.weight
    WHEN v_action = 'retried' THEN 0
    ELSE s.points END;
  v_drop text[] := CASE
    WHEN v_action IN ('completed', 'skipped')
      THEN ARRAY['next_attempt_at', 'last_error', 'asked_to_wait', 'waiting_for_worker', 'paused',
                 'remedy', 'error_details']
    WHEN v_action = 'failed'
      THEN ARRAY['next_attempt_at', 'last_error', 'asked_to_wait', 'waiting_for_worker', 'paused',
                 'error_details']
    WHEN v_action = 'retried' THEN stepway_passing_v3()
    ELSE ARRAY['waiting_for_worker'] END;
  t project_initialization_steps;
BEGIN
  IF v_action IN ('attempt_failed', 'interrupted', 'paused') OR v_ends THEN
    UPDATE project_initialization_attempts SET
      ended_at = p_now,
      outcome = coalesce(c->>'outcome', CASE v_action WHEN 'attempt_failed' THEN 'failed'
                                                      ELSE v_action END),
      error = c->>'error', error_stack = c->>'error_stack', error_details = c->'error_details',
      result = decode(c->>'result', 'base64')
    WHERE project_id = s.project_id AND step = s.step AND ended_at IS NULL;
  END IF;
  IF v_ends THEN
    PERFORM stepway_end_parts_v3(s.project_id, s.step, 'running', v_action, p_now);
    -- An earlier attempt reported these, the last one did not.
    PERFORM stepway_end_parts_v3(s.project_id, s.step, 'pending', 'skipped', p_now);
  ELSIF v_restarts THEN
    PERFORM stepway_reset_parts_v3(s.project_id, s.step, p_now);
  END IF;
  UPDATE project_initialization_steps u SET
    status = CASE WHEN v_ends THEN v_action WHEN v_restarts THEN 'pending' ELSE s.status END,
    progress = CASE WHEN v_action = 'completed' THEN 100 WHEN v_restarts THEN 0
                    ELSE s.progress END,
    points = v_points,
    message = CASE WHEN v_restarts THEN NULL ELSE coalesce(c->>'message', s.message) END,
    error = CASE WHEN v_action IN ('failed', 'attempt_failed') THEN c->>'error'
                 WHEN v_action IN ('completed', 'skipped', 'retried') THEN NULL
                 ELSE s.error END,
    -- A workflow that gives up after a failed attempt has no stack to write.
    error_stack = CASE WHEN v_action IN ('failed', 'attempt_failed')
                         THEN coalesce(c->>'error_stack', s.error_stack)
                       WHEN v_action IN ('completed', 'skipped', 'retried') THEN NULL
                       ELSE s.error_stack END,
    started_at = CASE WHEN v_restarts THEN NULL ELSE s.started_at END,
    completed_at = CASE WHEN v_ends THEN p_now WHEN v_restarts THEN NULL
                        ELSE s.completed_at END,
    -- What had ended before was not worked on since.
    duration = CASE
      WHEN v_ends AND s.completed_at IS NULL THEN stepway_milliseconds_v3(s.started_at, p_now)
      WHEN v_restarts THEN NULL ELSE s.duration END,
    waited = s.waited
      + CASE WHEN v_ends OR v_restarts THEN stepway_undecided_v3(s, p_now) ELSE 0 END,
    undone_at = CASE WHEN v_action = 'undone' THEN p_now WHEN v_restarts THEN NULL
                     ELSE s.undone_at END,
    metadata = (s.metadata - v_drop) || coalesce(c->'metadata', '{}')
      || CASE WHEN c ? 'error_details'
              THEN jsonb_build_object('error_details', c->'error_details') ELSE '{}' END,
    fence = greatest(s.fence, (c->>'fence')::timestamptz), updated_at = p_now
  WHERE u.id = s.id RETURNING * INTO t;
  PERFORM stepway_emit_v3(s.project_id, 'step', v_action, s.step, c->>'actor',
                          stepway_step_json_v3(t), v_points - s.points, c->>'change_id');
END $$;

-- Compare a step's change with its row and make it if it is not superseded. Returns the outcome.
CREATE FUNCTION stepway_record_step_v3(p_project uuid, c jsonb, p_now timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  s project_initialization_steps;
  v_action text := c->>'action';
  v_fence timestamptz := (c->>'fence')::timestamptz;
  kept bytea;
BEGIN
  IF v_action <> ALL (stepway_step_actions_v3()) THEN
    RAISE invalid_parameter_value USING MESSAGE = format('unknown action of a step: %L', v_action);
  END IF;
  SELECT * INTO s FROM project_initialization_steps
  WHERE project_id = p_project AND step = c->>'step';
  IF s.id IS NULL THEN
    RETURN jsonb_build_object('said', 'unknown');
  END IF;
  -- After the end of an initialization, changes count only if they were scheduled after that end.
  IF s.fence > v_fence OR EXISTS (
    SELECT FROM projects WHERE id = p_project AND fence > v_fence
      AND initialization_completed_at IS NOT NULL
  ) THEN
    RETURN jsonb_build_object('said', 'superseded');
  END IF;
  IF v_action = 'started' THEN
    RETURN stepway_start_v3(s, c, p_now);
  END IF;
  -- A report from an attempt counts only while that attempt is the running one.
  IF (c->>'activity_id') IS NOT NULL AND (s.status <> 'running' OR s.fence <> v_fence) THEN
    RETURN jsonb_build_object('said', 'superseded');
  END IF;
  IF v_action = 'progressed' THEN
    RETURN jsonb_build_object(
      'said', CASE WHEN stepway_progress_v3(s, c, p_now) THEN 'applied' ELSE 'unchanged' END);
  END IF;
  -- A completed step stays completed: a workflow that takes it for failed missed only the answer.
  -- It is told so, with what the step returned in this round. The same holds for a step that found
  -- nothing to do; one that a person or the workflow skipped has returned nothing.
  IF v_action = 'failed' AND s.status IN ('completed', 'skipped') THEN
    SELECT a.result INTO kept FROM project_initialization_attempts a
    WHERE a.project_id = p_project AND a.step = s.step AND a.round = s.round
      AND a.result IS NOT NULL
    ORDER BY a.attempt DESC LIMIT 1;
    IF s.status = 'completed' OR kept IS NOT NULL THEN
      RETURN jsonb_build_object('said', 'kept', 'result', encode(kept, 'base64'));
    END IF;
  END IF;
  IF v_action = s.status
     OR v_action = 'undo_failed' AND s.metadata->'undo'->>'status' = 'failed'
     OR v_action = 'awaiting_worker'
        AND s.metadata->'waiting_for_worker' IS NOT DISTINCT FROM c->'metadata'->'waiting_for_worker'
  THEN
    RETURN jsonb_build_object('said', 'unchanged');
  END IF;
  PERFORM stepway_change_v3(s, c, p_now);
  RETURN jsonb_build_object('said', 'applied')
    || CASE WHEN v_action = 'undo_started'
            THEN stepway_undo_spent_v3(p_project, s.step, c->>'change_id') ELSE '{}' END;
END $$;

-- Make a change of the project; 'ends' adds the event 'end'.
CREATE FUNCTION stepway_record_project_v3(p_project uuid, c jsonb, p_now timestamptz)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ends boolean := coalesce((c->>'ends')::boolean, false);
  p projects;
  s project_initialization_steps;
BEGIN
  UPDATE projects SET
    status = coalesce(c->>'status', status),
    waited = waited + CASE WHEN c ? 'status' THEN stepway_idle_v3(
      status, waiting_since, initialization_completed_at, p_now) ELSE 0 END,
    waiting_since = CASE
      WHEN c->>'status' = 'failed' AND NOT v_ends THEN p_now
      WHEN c ? 'status' THEN NULL ELSE waiting_since END,
    rollback = CASE WHEN c ? 'status' THEN c->'rollback' ELSE rollback END,
    cancel_requested_at = CASE WHEN c ? 'status' THEN NULL
      WHEN c->>'action' = 'cancel_requested' THEN p_now ELSE cancel_requested_at END,
    initialization_error = CASE WHEN c ? 'status' THEN c->>'error' ELSE initialization_error END,
    initialization_completed_at = CASE WHEN v_ends THEN p_now
      WHEN c->>'status' = 'initializing' THEN NULL ELSE initialization_completed_at END,
    parameters = coalesce(c->'parameters', parameters),
    run_id = coalesce(c->>'run_id', run_id),
    fence = greatest(fence, (c->>'fence')::timestamptz)
  WHERE id = p_project AND (fence IS NULL OR (c->>'fence') IS NULL
                            OR fence <= (c->>'fence')::timestamptz)
  RETURNING * INTO p;
  IF p.id IS NULL THEN
    RETURN jsonb_build_object('said', 'superseded');
  END IF;
  PERFORM stepway_emit_v3(p_project, 'project', c->>'action', NULL, c->>'actor', NULL, 0,
                       c->>'change_id');
  IF v_ends THEN
    -- No worker will take these steps.
    FOR s IN
      UPDATE project_initialization_steps u SET
        metadata = u.metadata - 'waiting_for_worker', updated_at = p_now
      WHERE u.project_id = p_project AND u.metadata ? 'waiting_for_worker' RETURNING *
    LOOP
      PERFORM stepway_emit_v3(p_project, 'step', 'awaiting_worker', s.step, NULL,
                              stepway_step_json_v3(s), 0, NULL);
    END LOOP;
    PERFORM stepway_emit_v3(p_project, 'end', 'ended', NULL, c->>'actor', NULL, 0, NULL);
  END IF;
  RETURN jsonb_build_object('said', 'applied');
END $$;

-- Apply changes in order, each once; return an outcome for each change and the messages to publish.
-- Every writer locks the project's row first, so that versions follow the order of commits without
-- a gap and writers cannot deadlock.
CREATE FUNCTION stepway_record_v3(p_project uuid, p_changes jsonb)
RETURNS TABLE (outcomes jsonb, messages text[]) LANGUAGE plpgsql AS $$
DECLARE
  v_before bigint;
  v_now timestamptz;
  c jsonb;
  v_outcomes jsonb := '[]';
BEGIN
  SELECT version INTO v_before FROM projects WHERE id = p_project FOR NO KEY UPDATE;
  v_now := clock_timestamp();
  FOR c IN SELECT * FROM jsonb_array_elements(p_changes) LOOP
    v_outcomes := v_outcomes || jsonb_build_array(CASE
      WHEN v_before IS NULL THEN jsonb_build_object('said', 'unknown')
      -- A change that was decided at one version is not made at another.
      WHEN (c->>'version')::bigint <> v_before THEN jsonb_build_object('said', 'superseded')
      WHEN EXISTS (SELECT FROM project_initialization_events e
                   WHERE e.project_id = p_project AND e.change_id = c->>'change_id')
        THEN jsonb_build_object('said', 'repeat')
             || CASE c->>'action'
                  WHEN 'started' THEN (
                    SELECT stepway_spent_v3(s) FROM project_initialization_steps s
                    WHERE s.project_id = p_project AND s.step = c->>'step')
                  WHEN 'undo_started'
                    THEN stepway_undo_spent_v3(p_project, c->>'step', c->>'change_id')
                  ELSE '{}' END
      WHEN c ? 'step' THEN stepway_record_step_v3(p_project, c, v_now)
      ELSE stepway_record_project_v3(p_project, c, v_now) END);
  END LOOP;
  RETURN QUERY SELECT v_outcomes, ARRAY(
    SELECT jsonb_build_object('version', e.version, 'type', e.type, 'data', e.payload)::text
    FROM project_initialization_events e
    WHERE e.project_id = p_project AND e.version > v_before ORDER BY e.version);
END $$;
