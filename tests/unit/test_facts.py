"""Generated files are up to date, and code that handles the facts covers all of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from temporalio.activity import ActivityCancellationDetails

from scripts.generated import generated
from stepway.api.routes.projects import NAME
from stepway.cli.view.words import CANCELLING, ICONS, STYLES
from stepway.workflows.engine.search_attributes import SIGNS
from stepway_tracking.record import facts
from stepway_tracking.worker.attempt import OUTCOMES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("file", generated(), ids=lambda file: file.name)
def test_generated_file_is_up_to_date(file: Path) -> None:
    assert file.read_text() == generated()[file], f"{file.name} is old: run scripts/generate"


def test_every_way_of_stopping_an_attempt_has_its_outcome() -> None:
    assert {field.name for field in fields(ActivityCancellationDetails)} == set(OUTCOMES)
    assert set(OUTCOMES.values()) < set(facts.ATTEMPT_OUTCOMES)


def test_every_status_can_be_shown() -> None:
    assert set(ICONS) - {"cancelled"} == set(SIGNS) == set(facts.STEP_STATUSES)
    assert set(STYLES) == {*facts.STEP_STATUSES, *facts.PROJECT_STATUSES, CANCELLING}


def test_template_takes_the_names_that_projects_have() -> None:
    assert f"'{NAME}'" in (ROOT / "blueprints/web-service/copier.yml").read_text()
