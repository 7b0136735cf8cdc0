"""The built-in steps, wired to what they need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from activities.command import CommandSteps
from activities.credentials import CredentialSteps
from activities.database import DatabaseSteps
from activities.environments import EnvironmentSteps
from activities.finalize import FinalizeSteps
from activities.gitops import GitopsSteps
from activities.registry import Resources, StepActivity
from activities.repository import RepositorySteps
from activities.template import TemplateSteps

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"


def step_activities(resources: Resources) -> Sequence[StepActivity]:
    """Every built-in step and undo."""
    data_dir = resources.settings.data_dir
    repository = RepositorySteps(data_dir)
    environments = EnvironmentSteps(resources.engine)
    database = DatabaseSteps(resources.engine)
    gitops = GitopsSteps(data_dir)
    return (
        CredentialSteps(resources.credentials).resolve_credentials,
        repository.create_repository,
        repository.delete_repository,
        TemplateSteps(data_dir, [BLUEPRINTS, *resources.settings.blueprints]).push_template,
        environments.create_environments,
        environments.delete_environments,
        database.create_db_records,
        database.delete_db_records,
        gitops.setup_gitops,
        gitops.remove_manifests,
        FinalizeSteps(data_dir, resources.engine).finalize,
        CommandSteps(data_dir, resources.credentials).run_command,
    )
