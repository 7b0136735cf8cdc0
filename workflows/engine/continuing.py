"""When a run continues as new because of its long history, and the state that it passes on.

Temporal ends a run at 51,200 events or 50 MB and takes 2,000 updates a run.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from temporalio import workflow

from stepway.workflows.engine.board import Board
from stepway.workflows.engine.decisions import Decisions
from stepway.workflows.model.fitting import fitting_errors, fitting_results, size_of
from stepway.workflows.model.messages import Continued, InitializationInput, Resumed

DECISIONS = 500
"""Decisions of people after which a run continues as soon as no step runs."""

MOST_DECISIONS, MOST_EVENTS, MOST_BYTES = 1_500, 25_000, 25_000_000
"""Limits of a run: beyond one of them, no step starts until the run has continued."""

LARGEST_INPUT = 1_500_000
"""Bytes of JSON in a run's input; Temporal refuses more than 2 MB. Results that do not fit stay in
the record, and errors are cut."""


class Continuing:
    """Decides when to continue; an answer holds for the rest of the run."""

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._suggested = False
        self._due = False

    def is_suggested(self) -> bool:
        """Return whether to continue as soon as no step runs."""
        if not self._suggested:
            long = workflow.info().is_continue_as_new_suggested()
            few = self._decisions.taken < DECISIONS
            self._suggested = (long or not few) and _from_here_on("continues")
        return self._suggested or self._due

    def is_due(self) -> bool:
        """Return whether no further step may start in this run."""
        if not self._due:
            info = workflow.info()
            self._due = (
                self._decisions.taken >= MOST_DECISIONS
                or info.get_current_history_length() >= MOST_EVENTS
                or info.get_current_history_size() >= MOST_BYTES
            ) and _from_here_on("continues-soon")
        return self._due


def _from_here_on(what: str) -> bool:
    """Return False while replaying a history that went on without this decision.

    `patched` answers once per name and run, so the name contains the place in the history.
    """
    return workflow.patched(f"{what}-{workflow.info().get_current_history_length()}")


def continued_input(
    given: InitializationInput, board: Board, decisions: Decisions, status: str, started_at: str
) -> InitializationInput:
    """Return the input of the next run."""
    plan = replace(given.plan, steps=[*board.steps.values()])
    # The record has the blueprint.
    anew = replace(given, plan=plan, parameters=decisions.parameters, definition={})
    anew = replace(anew, resumed=None, continued=None)
    room = LARGEST_INPUT - size_of(asdict(anew))
    errors = fitting_errors(board.errors, room // 4)
    results, kept = fitting_results(board.results, room // 2)
    return replace(
        anew,
        continued=Continued(
            Resumed(
                dict(board.states),
                results,
                errors,
                sorted(board.reopened),
                sorted({*board.kept, *kept}),
            ),
            dict(board.rounds),
            list(board.finished),
            {step: at.isoformat() for step, at in board.since.items()},
            status,
            decisions.count,
            started_at,
        ),
    )
