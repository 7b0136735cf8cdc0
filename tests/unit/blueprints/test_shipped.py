"""The blueprints that come with Stepway."""

from __future__ import annotations

from stepway.blueprints.catalog import Catalog
from stepway.cli.commands.demo import BLUEPRINTS
from stepway.cli.run.roles import known_steps
from stepway.runtime.settings import Settings


def test_the_demo_is_a_good_blueprint_and_offered_by_the_demo_alone() -> None:
    steps = known_steps(Settings())
    assert [blueprint.name for blueprint in Catalog.load(known_steps=steps)] == ["web-service"]
    offered = [blueprint.name for blueprint in Catalog.load([BLUEPRINTS], steps)]
    assert offered == ["demo", "web-service"]
