"""Temporal refuses a summary of more than 400 bytes."""

from __future__ import annotations

import pytest

from stepway.workflows.engine.summaries import LARGEST_SUMMARY, summary


@pytest.mark.parametrize("text", ["a" * 1000, "é" * 1000, "a" + "步" * 1000, "🚀" * 1000])
def test_a_long_text_is_cut_at_a_character(text: str) -> None:
    cut = summary(text)
    assert LARGEST_SUMMARY - 6 < len(cut.encode()) <= LARGEST_SUMMARY
    assert cut.endswith("…") and text.startswith(cut[:-1])


def test_as_much_as_fits_is_kept() -> None:
    assert summary("a" * 401) == "a" * 397 + "…"


def test_a_short_text_stays() -> None:
    assert summary("é" * 200) == "é" * 200
