"""Turns whatever a step reports as its progress into values that the record accepts."""

from __future__ import annotations

import dataclasses
import logging
import math
from typing import Any

from stepway_tracking.record.facts import LONGEST_MESSAGE, LONGEST_PART_NAME
from stepway_tracking.record.progress import Progress, SubStep
from stepway_tracking.worker.encodable import text_of
from stepway_tracking.worker.failures import truncate

log = logging.getLogger(__name__)


class ProgressReader:
    """Reads the progress of one attempt; warns once if a value is not what it should be."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._warned = False

    def read(self, given: Progress) -> Progress:
        """The same progress if it is well-formed and short, otherwise a copy with accepted values.

        A percentage that is not a number counts as 0, which changes nothing. A sub-step without a
        usable name is left out.
        """
        part = self._part(given.sub_step)
        read = Progress(_percent(given.percent), _text(given.message), part)
        short = dataclasses.replace(read, message=truncate(read.message, LONGEST_MESSAGE))
        if _same(read, given):
            return given if short == read else short
        if not self._warned:
            self._warned = True
            log.warning(
                "Step %s reported progress that was changed to fit: %s. Use "
                "Progress(percent: int, message: str, sub_step: SubStep | None).",
                self._step,
                truncate(_text(given), LONGEST_MESSAGE),
            )
        return short

    def _part(self, given: Any) -> SubStep | None:
        if not isinstance(given, SubStep) or not _text(given.name):
            return None
        name = _start(_text(given.name), LONGEST_PART_NAME)
        title = _start(_text(given.display_name), LONGEST_MESSAGE) or name
        return SubStep(name, title, _percent(given.percent))


def _percent(value: Any) -> int:
    if isinstance(value, int):
        return int(min(max(value, 0), 100))
    try:
        number = float(value)
    except Exception:  # noqa: BLE001 - a conversion of the step's own may raise anything
        return 0
    return int(min(max(number, 0.0), 100.0)) if math.isfinite(number) else 0


def _text(value: Any) -> str:
    return "" if value is None else text_of(value)


def _start(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _same(read: Progress, given: Progress) -> bool:
    return _types(read) == _types(given) and _fields(read) == _fields(given)


def _fields(progress: Progress) -> tuple[Any, ...]:
    part = progress.sub_step
    inner = (part.name, part.display_name, part.percent) if isinstance(part, SubStep) else part
    return progress.percent, progress.message, inner


def _types(progress: Progress) -> list[type]:
    percent, message, inner = _fields(progress)
    return [type(each) for each in (percent, message, *(inner if isinstance(inner, tuple) else ()))]
