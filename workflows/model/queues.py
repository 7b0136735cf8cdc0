"""The names of the task queues that steps wait in for a worker. Pure."""

DEFAULT = "default"
"""How `STEPWAY_STEP_QUEUES` names the queue of steps whose blueprint names none."""

_WAITS = "waits"
_WAITING = "wait_for_"

RESERVED = frozenset({DEFAULT, _WAITS})
"""Names that a blueprint's `queue` must not have."""


def queue_of(uses: str, queue: str | None) -> str:
    """Return a step's queue for the plan: empty for that of the initializations themselves.

    A step whose type starts with `wait_for_` does no work, it only waits. It is in a queue beside,
    for which a worker has many more places.
    """
    return waits_of(queue or "") if uses.startswith(_WAITING) else queue or ""


def waits_of(queue: str) -> str:
    """Return the queue of the steps that only wait, beside a queue of steps."""
    return f"{queue}.{_WAITS}" if queue else _WAITS


def workers_of(queue: str) -> str:
    """Return the queue whose workers run the steps of this one: a queue of waits has none alone."""
    return queue.removesuffix(_WAITS).removesuffix(".") if _is_of_waits(queue) else queue


def _is_of_waits(queue: str) -> bool:
    return queue == _WAITS or queue.endswith(f".{_WAITS}")


def task_queue(base: str, queue: str) -> str:
    """Return Temporal's task queue; `base` is the one of the initializations."""
    return f"{base}.{queue}" if queue else base
