"""Tunes Python's garbage collector for a process that serves streams."""

from __future__ import annotations

import gc

THRESHOLDS = 10_000, 10, 10
"""Arguments of gc.set_threshold: collect generation 0 after 10,000 new objects (Python's
default is 700), and each older generation after 10 collections of the next younger one."""


def tune_garbage_collector() -> None:
    """Make collections rare, and exclude all objects that exist now from them.

    One event wakes every stream of its project, which allocates thousands of objects at once. With
    Python's defaults, the collections that this causes walk all streams several times and take half
    of the CPU time of a delivery (docs/decisions/0009). Rare collections cost little memory:
    streams leave hardly any garbage in reference cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
