"""docs/reliability.md's figures, written from a run."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from tests.faults.recovery import ALLOWED
from tests.faults.rounds import Summary

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write_report(summary: Summary) -> None:
    """Put the figures of a run between the page's marks."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{figures(summary)}\n\n{END}{after}")


def figures(summary: Summary) -> str:
    """The figures as Markdown."""
    kinds = sorted(summary.faults.items(), key=lambda item: (item[0].startswith("("), -item[1]))
    rows = [f"| {name} | {count} |" for name, count in kinds]
    longest = max(summary.recoveries) / ALLOWED
    recovery = (
        f"Kill -9 of the worker to its step running again, {len(summary.recoveries)} times: "
        f"median {median(summary.recoveries):.2f} s, longest {max(summary.recoveries):.2f} s, "
        f"which is {longest:.2f} times the heartbeat timeout and back-off ({ALLOWED:.1f} s)."
    )
    ends = ", ".join(f"{count} {status}" for status, count in summary.statuses.items())
    return "\n".join(
        [
            f"{summary.line()}.",
            "",
            f"Projects ended: {ends}.",
            "",
            recovery,
            "",
            "| fault | times |",
            "|-|-|",
            *rows,
        ]
    )
