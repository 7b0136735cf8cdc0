"""Writes the figures of a run to docs/explanation/reliability.md."""

from __future__ import annotations

from pathlib import Path

from tests.faults.summary import Summary

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write_report(summary: Summary) -> None:
    """Write the figures between the markers in the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures(summary)}\n\n{END}{after}")


def figures(summary: Summary) -> str:
    """Return the figures as Markdown."""
    found = summary.found
    rows = {
        "rounds": summary.rounds,
        "faults": summary.faults.total(),
        "projects": summary.projects,
        **{f"projects {status}": count for status, count in summary.statuses.items()},
        "watchers": summary.watchers,
        "versions delivered": summary.versions,
        "gaps": found["gap"],
        "duplicates": found["duplicate"],
        "lost endings": found["lost ending"],
        "steps run twice": found["run twice"],
        "steps failed by others": found["failed by others"],
        **{f"projects on Git hosts, {kind}": n for kind, n in sorted(summary.hosted.items())},
        "objects not exactly once on a host": found["not exactly once"],
        "objects left after a rollback": found["left behind"],
        "requests that do not fit the host's API": found["wrong request"],
        "secrets searched for": summary.secrets,
        "secrets found": found["secret found"],
        "other violations": found["other"],
    }
    return "\n".join(
        [
            f"Seed {summary.seed}, {summary.seconds / 60:.0f} minutes.",
            "",
            *_table(("figure", "value"), rows),
            "",
            f"{summary.recovery.capitalize()}.",
            "",
            "Only faults that hit a running connection or process are counted:",
            "",
            *_table(("fault", "times"), dict(summary.faults.most_common())),
        ]
    )


def _table(head: tuple[str, str], rows: dict[str, int]) -> list[str]:
    return [
        f"| {head[0]} | {head[1]} |",
        "|-|-|",
        *(f"| {name} | {value:,} |" for name, value in rows.items()),
    ]
