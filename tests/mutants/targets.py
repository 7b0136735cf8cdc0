"""The files to mutate, and the tests that must notice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.mutants import python, sql
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]

SQL = "tracking/stepway_tracking/migrations/sql"
REPLAY = "tests/replay/test_replay.py"
ENGINE = "tests/integration/engine/test"
UNIT_ENGINE = "tests/unit/workflows"
UNIT_STREAM = "tests/unit/tracking"
UNIT_SECURITY = "tests/unit/security"
STREAM = "tracking/stepway_tracking/stream"

TESTS: dict[str, tuple[str, ...]] = {
    f"{SQL}/record_v3.sql": ("tests/integration/store/test_*.py",),
    "api/auth/policy.py": (
        f"{UNIT_SECURITY}/test_policy.py",
        f"{UNIT_SECURITY}/test_limits_counted.py",
        "tests/security/test_matrix.py",
    ),
    "api/auth/guard.py": (
        f"{UNIT_SECURITY}/test_guard.py",
        f"{UNIT_SECURITY}/test_limits_counted.py",
        "tests/security/test_matrix.py",
        "tests/security/test_sessions.py",
        "tests/security/test_openid.py",
    ),
    "api/auth/limits.py": (
        f"{UNIT_SECURITY}/test_limits_counted.py",
        "tests/security/test_limits.py",
    ),
    "api/auth/origin.py": (
        f"{UNIT_SECURITY}/test_limits_counted.py",
        "tests/security/test_strangers.py",
        "tests/security/test_sessions.py",
        "tests/security/test_codec.py",
    ),
    "vault/keyring.py": (f"{UNIT_SECURITY}/test_keys.py", "tests/security/test_formats.py"),
    "vault/keys.py": (f"{UNIT_SECURITY}/test_keys.py",),
    "vault/known.py": (
        f"{UNIT_SECURITY}/test_known.py",
        f"{UNIT_SECURITY}/test_redaction.py",
        f"{UNIT_SECURITY}/test_references.py",
    ),
    "vault/payload_codec.py": (
        "tests/unit/tracking/test_failure_converter.py",
        "tests/security/test_formats.py",
        "tests/security/test_codec.py",
    ),
    "vault/payload_signing.py": (f"{UNIT_SECURITY}/test_signing.py",),
    "vault/redacting_interceptor.py": (
        f"{UNIT_SECURITY}/test_interceptor.py",
        f"{UNIT_SECURITY}/test_redaction.py",
    ),
    "vault/redaction.py": (f"{UNIT_SECURITY}/test_redaction.py", f"{UNIT_SECURITY}/test_values.py"),
    "vault/references.py": (f"{UNIT_SECURITY}/test_references.py",),
    "vault/sealing.py": (f"{UNIT_SECURITY}/test_references.py", "tests/security/test_formats.py"),
    "vault/shapes.py": (
        f"{UNIT_SECURITY}/test_redaction.py",
        f"{UNIT_SECURITY}/test_redaction_corpus.py",
    ),
    "vault/unresolved.py": (f"{UNIT_SECURITY}/test_interceptor.py",),
    "vault/values.py": (f"{UNIT_SECURITY}/test_values.py",),
    "vault/vault.py": ("tests/security/test_vault.py",),
    "workflows/engine/board.py": (
        f"{UNIT_ENGINE}/test_board.py",
        f"{UNIT_ENGINE}/test_plan.py",
        REPLAY,
    ),
    "workflows/engine/continuing.py": (
        f"{UNIT_ENGINE}/test_continued_input.py",
        REPLAY,
        f"{ENGINE}_continuing.py",
    ),
    "workflows/engine/decisions.py": (
        REPLAY,
        f"{ENGINE}_decisions.py",
        f"{ENGINE}_continuing.py",
    ),
    "workflows/engine/ending.py": (
        f"{UNIT_ENGINE}/test_rolled_back.py",
        REPLAY,
        f"{ENGINE}_cancel.py",
        f"{ENGINE}_errors.py",
    ),
    "workflows/engine/execution.py": (
        f"{UNIT_ENGINE}/test_execution.py",
        REPLAY,
        f"{ENGINE}_errors.py",
        f"{ENGINE}_cancel.py",
        f"{ENGINE}_continuing.py",
        f"{ENGINE}_sizes.py",
    ),
    "workflows/engine/failures.py": (f"{UNIT_ENGINE}/test_failures.py",),
    "workflows/engine/outcomes.py": (REPLAY, f"{ENGINE}_errors.py"),
    "workflows/engine/rules.py": (f"{UNIT_ENGINE}/test_rules.py",),
    "workflows/engine/running.py": (REPLAY, f"{ENGINE}_errors.py", f"{ENGINE}_cancel.py"),
    "workflows/engine/sandbox.py": (REPLAY,),
    "workflows/engine/search_attributes.py": (f"{UNIT_ENGINE}/test_search_attributes.py", REPLAY),
    "workflows/engine/summaries.py": (f"{UNIT_ENGINE}/test_summaries.py",),
    f"{STREAM}/event_log.py": (f"{UNIT_STREAM}/test_event_log.py",),
    f"{STREAM}/feed.py": (f"{UNIT_STREAM}/test_feed.py", f"{UNIT_STREAM}/test_hub_reading.py"),
    f"{STREAM}/hub.py": (
        f"{UNIT_STREAM}/test_hub.py",
        f"{UNIT_STREAM}/test_hub_reading.py",
        "tests/integration/reading/test_stream_events.py",
    ),
    f"{STREAM}/options.py": (f"{UNIT_STREAM}/test_hub_reading.py",),
    f"{STREAM}/position_check.py": (f"{UNIT_STREAM}/test_position_check.py",),
    f"{STREAM}/publisher.py": (f"{UNIT_STREAM}/test_publisher.py",),
    f"{STREAM}/subscriber.py": (
        "tests/integration/servers/test_redis_subscriber.py",
        "tests/integration/reading/test_stream_events.py",
    ),
    f"{STREAM}/subscription.py": (
        f"{UNIT_STREAM}/test_subscription.py",
        f"{UNIT_STREAM}/test_hub_reading.py",
    ),
}
"""By files: the test files that must notice their mutants."""


@dataclass(frozen=True)
class Target:
    """A file, and the test files for it; with `lines`, only the mutants of these lines."""

    file: Path
    tests: tuple[Path, ...]
    lines: frozenset[int] = frozenset()

    @property
    def name(self) -> str:
        """The file's path in the repository."""
        return str(self.file.relative_to(ROOT))

    def mutants(self) -> Iterator[Mutant]:
        """All mutants of the file, or of its lines."""
        found = (sql if self.file.suffix == ".sql" else python).mutants_of(self.file)
        return (each for each in found if not self.lines or each.line in self.lines)


def targets(names: list[str]) -> list[Target]:
    """All targets, or those whose paths contain one of the names; `NAME:LINE` for one line."""
    found = [
        Target(file, tuple(test for tests in of for test in _files(tests)))
        for files, of in TESTS.items()
        for file in _files(files)
        if file.name != "__init__.py"
    ]
    return [narrowed for each in found if (narrowed := _narrowed(each, names))]


def _narrowed(target: Target, names: list[str]) -> Target | None:
    """The target with the lines that the names choose; None if they choose nothing of it."""
    lines = [name.partition(":")[2] for name in names if name.partition(":")[0] in target.name]
    if names and not lines:
        return None
    return replace(target, lines=frozenset(map(int, lines)) if all(lines) else frozenset())


def _files(pattern: str) -> list[Path]:
    """The files that a pattern means. Raises LookupError if there are none."""
    if not (found := sorted(ROOT.glob(pattern))):
        raise LookupError(f"tests/mutants/targets.py names {pattern}, and there is no such file")
    return found
