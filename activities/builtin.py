"""Creates the built-in steps with their dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepway.activities.command.run_command import CommandSteps
from stepway.activities.credentials.resolve_credentials import CredentialSteps
from stepway.activities.database.create_db_records import DatabaseSteps
from stepway.activities.database.create_environments import EnvironmentSteps
from stepway.activities.database.finalize import FinalizeSteps
from stepway.activities.git.create_repository import RepositorySteps
from stepway.activities.git.push_template import TemplateSteps
from stepway.activities.git.template_access import TemplateAccess
from stepway.activities.git.template_cache import TemplateCache
from stepway.activities.git.template_pins import TemplatePins
from stepway.activities.git.template_source import TemplateSource
from stepway.activities.gitops.setup_gitops import GitopsSteps
from stepway.activities.registry import Resources, StepActivity
from stepway.activities.simulation.simulate import simulate
from stepway.blueprints.template_rules import TemplateRules

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"


def step_activities(resources: Resources) -> Sequence[StepActivity]:
    """Return the activities of all built-in steps and their undo activities."""
    data_dir = resources.settings.data_dir
    repository = RepositorySteps(data_dir)
    environments = EnvironmentSteps(resources.engine)
    database = DatabaseSteps(resources.engine)
    gitops = GitopsSteps(data_dir)
    return (
        CredentialSteps(
            data_dir / "repositories", resources.credentials, resources.git_hosts
        ).resolve_credentials,
        repository.create_repository,
        repository.delete_repository,
        TemplateSteps(data_dir, _templates(resources)).push_template,
        environments.create_environments,
        environments.delete_environments,
        database.create_db_records,
        database.delete_db_records,
        gitops.setup_gitops,
        gitops.remove_manifests,
        FinalizeSteps(data_dir, resources.engine).finalize,
        CommandSteps(data_dir, resources.credentials).run_command,
        simulate,
    )


def _templates(resources: Resources) -> TemplateSource:
    settings = resources.settings
    return TemplateSource(
        [BLUEPRINTS, *settings.blueprints],
        TemplateRules(
            settings.template_sources, settings.trusted_blueprints, settings.template_extensions
        ),
        TemplateCache(settings.data_dir / "templates"),
        TemplatePins(resources.engine),
        TemplateAccess(resources.credentials, resources.git_hosts),
    )
