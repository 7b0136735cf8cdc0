"""The built-in blueprint: runs its steps in order, then their undo activities."""

from __future__ import annotations

import inspect
import subprocess
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select
from temporalio.converter import DataConverter

from stepway.activities.models import Environment, Repository
from stepway.blueprints.arguments import input_types
from stepway.blueprints.catalog import Catalog
from stepway.blueprints.planning import make_plan
from stepway.workflows.model.plan import Plan
from stepway.workflows.model.references import resolve
from stepway_tracking.record.progress import Skipped


class Initialization:
    """Converts arguments as Temporal does: JSON to the activity's dataclass."""

    def __init__(self, worker, project, plan: Plan) -> None:
        self._worker = worker
        self._project = vars(project) | {"blueprint": plan.blueprint}
        self._plan = plan
        self._types = input_types(worker.steps)
        self.results: dict[str, Any] = {}

    async def run(self) -> None:
        for step in self._plan.steps:
            given = {"project": self._project, **resolve(step.arguments, self.results)}
            self.results[step.step] = await self._activity(step.uses, given)

    async def undo(self) -> None:
        for step in reversed(self._plan.steps):
            if step.undo:
                result = self.results[step.step]
                arguments = resolve(step.undo.arguments, self.results)
                given = {"project": self._project, **arguments, "result": result}
                await self._activity(step.undo.uses, given)

    async def _activity(self, uses: str, given: dict[str, Any]) -> Any:
        made = self._worker.run(uses, _converted(given, self._types[uses]))
        return _converted(await made if inspect.isawaitable(made) else made, None)


def _converted(value: Any, hint: type | None) -> Any:
    converter = DataConverter.default.payload_converter
    payloads = converter.to_payloads([value])
    return converter.from_payloads(payloads, [hint] if hint else None)[0]


@pytest.fixture
def plan_of(worker, project):
    def plan(**parameters: Any) -> Initialization:
        catalog = Catalog.load([], input_types(worker.steps))
        made = make_plan(catalog.get("web-service"), vars(project), parameters)
        return Initialization(worker, project, made)

    return plan


async def count(engine, project, table) -> int:
    async with engine.connect() as connection:
        ours = table.project_id == UUID(project.id)
        return await connection.scalar(select(func.count()).select_from(table).where(ours))


def test_the_weights_are_the_seeds(plan_of):
    weights = {step.step: step.weight for step in plan_of()._plan.steps}
    assert weights == {
        "resolve_credentials": 5,
        "create_repository": 15,
        "push_template": 25,
        "create_environments": 10,
        "create_db_records": 10,
        "setup_gitops": 30,
        "finalize": 5,
    }


async def test_all_steps_and_then_their_undo(plan_of, worker, engine, project, git, tmp_path):
    initialization = plan_of(description="Sells {{ things }}")
    await initialization.run()
    repository = initialization.results["create_repository"]["url"]
    git("clone", repository, tmp_path / "clone")
    assert await count(engine, project, Environment) == 3
    assert await count(engine, project, Repository) == 1

    await initialization.undo()
    with pytest.raises(subprocess.CalledProcessError):
        git("ls-remote", repository)
    assert await count(engine, project, Environment) == 0
    assert await count(engine, project, Repository) == 0
    gitops = worker.data_dir / "gitops.git"
    assert git("ls-tree", "-r", "main", cwd=gitops) == ""


async def test_all_steps_repeated_make_nothing_twice(plan_of, worker, engine, project, git):
    first, second = plan_of(), plan_of()
    await first.run()
    await second.run()
    assert second.results == first.results
    assert git("rev-list", "--count", "main", cwd=worker.data_dir / "gitops.git") == "1"
    assert await count(engine, project, Environment) == 3


@pytest.mark.parametrize("parameters", [{"deploy": False}, {"environments": []}])
async def test_nothing_to_deploy_to_skips_gitops_and_finalize_is_content(plan_of, parameters):
    initialization = plan_of(**parameters)
    await initialization.run()
    assert initialization.results["setup_gitops"].keys() == vars(Skipped("")).keys()
    assert initialization.results["finalize"]["verified"]
