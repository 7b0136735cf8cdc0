"""Texts for people are joined as sentences."""

from __future__ import annotations

import pytest

from stepway_tracking.record.sentences import joined


@pytest.mark.parametrize(
    ("texts", "whole"),
    [
        (("It was kept", "Check it."), "It was kept. Check it."),
        (("It was kept.", "Check it"), "It was kept. Check it"),
        (("It was kept", ""), "It was kept"),
        (("", "Check it."), "Check it."),
        (("", ""), ""),
    ],
)
def test_joined(texts: tuple[str, str], whole: str) -> None:
    assert joined(*texts) == whole
