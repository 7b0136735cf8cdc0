"""The result of a run, in numbers and in one line."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

KINDS = (
    ("gap", ("gap ", "before any snapshot")),
    ("duplicate", ("duplicate ", "snapshot ")),
    ("lost ending", ("lost ending",)),
    ("run twice", ("completed twice", "ran again", "ran more often")),
    ("failed by others", ("failed for a reason that is not its own", "completed, then failed")),
    ("not exactly once", ("not exactly",)),
    ("left behind", ("left after the rollback", "left in the GitOps", "the rollback failed")),
    ("secret found", ("secret found",)),
    ("wrong request", ("request that does not fit",)),
)

TOLERANCE = 1.2
"""Factor on heartbeat timeout and back-off that limits a recovery."""


@dataclass
class Summary:
    """Counts of a run; `recoveries` and `recovery_limit` are seconds.

    `hosted` are the projects on Git hosts by kind and outcome; `secrets` were searched for.
    """

    seed: int
    recovery_limit: float
    rounds: int = 0
    projects: int = 0
    watchers: int = 0
    versions: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    hosted: Counter[str] = field(default_factory=Counter)
    secrets: int = 0
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)

    @property
    def found(self) -> Counter[str]:
        """Return the number of violations of each kind."""
        return Counter(kind_of(violation) for violation in self.violations)

    @property
    def is_slow(self) -> bool:
        """Whether a recovery took longer than the limit."""
        return max(self.recoveries, default=0.0) > self.recovery_limit * TOLERANCE

    @property
    def recovery(self) -> str:
        """Return the recovery times as text."""
        if not self.recoveries:
            return "no recovery measured"
        longest = max(self.recoveries)
        return (
            f"kill -9 of a worker to its step running again: median "
            f"{median(self.recoveries):.2f} s, longest {longest:.2f} s of {len(self.recoveries)}, "
            f"{longest / self.recovery_limit:.2f} times heartbeat timeout and back-off "
            f"({self.recovery_limit:.1f} s)"
        )

    def line(self) -> str:
        """Return the result in one line."""
        found = self.found
        by_kind = ", ".join(f"{name} {count}" for name, count in self.faults.most_common())
        return (
            f"{self.rounds} rounds, {self.faults.total()} faults ({by_kind}), "
            f"{self.projects} projects, {self.hosted.total()} of them on Git hosts, "
            f"{self.watchers} watchers, {self.versions} versions delivered: "
            f"{found['gap']} gaps, {found['duplicate']} duplicates, "
            f"{found['lost ending']} lost endings, {found['run twice']} steps run twice, "
            f"{found['failed by others']} steps failed by others, "
            f"{found['not exactly once']} objects not exactly once on a host, "
            f"{found['left behind']} left after a rollback, "
            f"{found['secret found']} of {self.secrets} secrets found, "
            f"{found['wrong request']} requests that do not fit, "
            f"{found['other']} other violations; {self.recovery} "
            f"(seed {self.seed}, {self.seconds:.0f} s)"
        )


def kind_of(violation: str) -> str:
    """Return the kind of a violation."""
    return next((kind for kind, words in KINDS if any(w in violation for w in words)), "other")
