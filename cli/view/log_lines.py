"""Lines of steps' logs in a terminal."""

from __future__ import annotations

import re
import sys

from stepway.cli.client.http import Json
from stepway.cli.view.text import clean, clock
from stepway.vault.redaction import redact

_COLOUR = re.compile(r"(\x1b\[[0-9;:]*m)")
_RESET = "\x1b[0m"
_STEP_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_LEVELS = {"warning": "\x1b[33m", "error": "\x1b[31m"}


class LogPrinter:
    """Prints lines to standard output; colours only where `colours` is set."""

    def __init__(self, timestamps: bool, colours: bool) -> None:
        self._timestamps = timestamps
        self._colours = colours
        self._steps: dict[str, int] = {}

    def show(self, step: str | None, item: Json) -> None:
        """Print a line, a gap or a note about the log."""
        text = self._text(item)
        if text is None:
            return
        sys.stdout.write(f"{self._prefix(step)}{text}\n")
        sys.stdout.flush()

    def _text(self, item: Json) -> str | None:
        if "gap" in item:
            return f"… {item['gap']['lines']} lines left out …"
        if "end" in item:
            # Older servers do not say whether it is complete.
            return (
                None if item["end"].get("complete", True) else "… the end of the log is missing …"
            )
        if "attempt" in item:
            return _heading(**item["attempt"])
        if "problem" in item:
            return f"error: {clean(item['problem'])}"
        if "text" not in item:
            return None
        at = f"{clock(item['at'])}  " if self._timestamps else ""
        return at + self._line(item)

    def _line(self, item: Json) -> str:
        text = redact(item["text"])
        if not self._colours:
            return clean(text)
        # Colours are between the parts that are cleaned.
        parts = _COLOUR.split(text)
        shown = "".join(part if number % 2 else clean(part) for number, part in enumerate(parts))
        colour = _LEVELS.get(item["level"], "")
        ends = _RESET if colour or len(parts) > 1 else ""
        return f"{colour}{shown}{ends}"

    def _prefix(self, step: str | None) -> str:
        if step is None:
            return ""
        number = self._steps.setdefault(step, len(self._steps))
        name = f"{clean(step)} | "
        if not self._colours:
            return name
        return f"\x1b[{_STEP_COLOURS[number % len(_STEP_COLOURS)]}m{name}{_RESET}"


def _heading(round: int, attempt: int) -> str | None:
    if round > 1:
        return f"── round {round}, attempt {attempt} ──"
    return None if attempt == 1 else f"── attempt {attempt} ──"
