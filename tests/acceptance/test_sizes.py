"""Any size works."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import StartStepway
from tests.support.servers import write_blueprint


async def test_titles_may_have_a_thousand_characters(
    start_stepway: StartStepway, folder: Path
) -> None:
    steps = [
        {"step": "first", "display_name": {"en": "t" * 1000, "zh": "题" * 1000}},
        {"step": "second", "display_name": "题" * 1000},
    ]
    blueprint = write_blueprint(folder, steps, title="T" * 1000)
    async with start_stepway() as stepway:
        project = await stepway.create(blueprint)
        done = await stepway.until(project, "active")
        assert [step["display_name"] for step in done["steps"]] == ["t" * 1000, "题" * 1000]
