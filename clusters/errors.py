"""The errors of Kubernetes clusters: they name the cause, and the remedy."""

from __future__ import annotations

from stepway_tracking.record.errors import StepwayError


class ClusterError(StepwayError):
    """A request that a cluster did not carry out.

    `message` is a sentence without a full stop; `remedy` says what a person can do. `later`:
    whether the same request may succeed without a change by a person. `retry_after` are the
    seconds that the cluster asks to wait. `reason` is the cluster's own word for its refusal.
    """

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        later: bool = False,
        status: int | None = None,
        reason: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.later = later
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class NotOurs(ClusterError):
    """An object that another project, program or person has."""


class HasOthers(NotOurs):
    """An object of the project that contains what others have made."""


class KindMissing(ClusterError):
    """The cluster does not know the kind of an object."""
