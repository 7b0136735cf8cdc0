"""Python's garbage collector in a process that serves streams."""

from __future__ import annotations

import gc

GENERATIONS = 10_000, 10, 10
"""How many new objects make a collection, and how many collections one of the older ones."""


def collect_seldom() -> None:
    """Have the collector run seldom, and never look at what the start has made.

    One change wakes each of its streams, which makes that many objects at once. As Python comes, a
    collection at every 700 walks all ten thousand streams again and again: half of what a delivery
    costs. Nothing of a stream is garbage that needs the collector.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GENERATIONS)
