"""The registry of steps: what it finds, and what it refuses."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio import activity

from activities.registry import Resources, load_steps
from tracking.settings import Settings, SettingsError

BUILT_IN = {
    "resolve_credentials",
    "create_repository",
    "push_template",
    "create_environments",
    "create_db_records",
    "setup_gitops",
    "finalize",
    "run_command",
    "delete_repository",
    "delete_environments",
    "delete_db_records",
    "remove_manifests",
}


@pytest.fixture
def resources(tmp_path) -> Resources:
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    return Resources(Settings(data_dir=tmp_path), engine)


@pytest.fixture
def module(monkeypatch) -> ModuleType:
    module = ModuleType("steps_of_an_operator")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def offer(module: ModuleType, *offered: Any) -> None:
    module.step_activities = lambda resources: offered


def test_the_built_in_steps_are_there(resources):
    assert set(load_steps(resources, [])) == BUILT_IN


def test_an_operators_module_adds_its_steps(resources, module):
    @activity.defn(name="send_mail")
    def send_mail() -> None: ...

    offer(module, send_mail)
    steps = load_steps(resources, [module.__name__])
    assert steps["send_mail"] is send_mail
    assert set(steps) == BUILT_IN | {"send_mail"}


def test_a_second_step_of_one_type_is_refused(resources, module):
    @activity.defn(name="finalize")
    def finalize() -> None: ...

    offer(module, finalize)
    with pytest.raises(SettingsError, match=r"STEPWAY_STEP_MODULES: .*second step 'finalize'"):
        load_steps(resources, [module.__name__])


def test_a_function_that_is_no_activity_is_refused(resources, module):
    offer(module, print)
    with pytest.raises(SettingsError, match=r"STEPWAY_STEP_MODULES: .*is no activity"):
        load_steps(resources, [module.__name__])


@pytest.mark.parametrize("name", ["no_such_module_of_steps", "steps_of_an_operator"])
def test_a_module_that_cannot_be_used_is_named(resources, module, name):
    with pytest.raises(SettingsError, match=f"STEPWAY_STEP_MODULES: {name} cannot be used") as e:
        load_steps(resources, [name])
    assert "\n" not in str(e.value)
