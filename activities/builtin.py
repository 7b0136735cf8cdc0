"""Creates the built-in steps with their dependencies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stepway.activities.cluster.access import ClusterAccess
from stepway.activities.cluster.apply_manifests import ClusterSteps
from stepway.activities.cluster.wait_for_ready import WaitingSteps
from stepway.activities.command.run_command import CommandSteps
from stepway.activities.credentials.resolve_credentials import CredentialSteps
from stepway.activities.database.create_db_records import DatabaseSteps
from stepway.activities.database.create_environments import EnvironmentSteps
from stepway.activities.database.finalize import FinalizeSteps
from stepway.activities.gitops.deploy_key import DeployKeys
from stepway.activities.gitops.in_cluster import ClusterGitops
from stepway.activities.gitops.in_repository import RepositoryGitops
from stepway.activities.gitops.setup_gitops import GitopsSteps
from stepway.activities.http.guard import Guard
from stepway.activities.http.http_request import HttpSteps
from stepway.activities.on_host.add_collaborators import CollaboratorSteps
from stepway.activities.on_host.create_secrets import SecretSteps
from stepway.activities.on_host.create_webhook import WebhookSteps
from stepway.activities.on_host.dispatch_pipeline import PipelineSteps
from stepway.activities.on_host.open_pull_request import PullRequestSteps
from stepway.activities.on_host.protect_branch import ProtectionSteps
from stepway.activities.registry import Resources, StepActivity
from stepway.activities.repository.create_repository import RepositorySteps
from stepway.activities.repository.push_template import TemplateSteps
from stepway.activities.simulation.simulate import simulate
from stepway.activities.templates.access import TemplateAccess
from stepway.activities.templates.cache import TemplateCache
from stepway.activities.templates.pins import TemplatePins
from stepway.activities.templates.source import TemplateSource
from stepway.blueprints.template_rules import TemplateRules

BLUEPRINTS = Path(__file__).parents[1] / "blueprints"


def step_activities(resources: Resources) -> Sequence[StepActivity]:
    """Return the activities of all built-in steps and their undo activities."""
    data_dir = resources.settings.data_dir
    hosts = resources.open_host
    repository = RepositorySteps(hosts)
    template = TemplateSteps(hosts, resources.open_key, _templates(resources))
    environments = EnvironmentSteps(resources.engine, hosts)
    database = DatabaseSteps(resources.engine)
    clusters = ClusterAccess(resources.credentials)
    cluster = ClusterSteps(clusters)
    keys = DeployKeys(hosts, resources.credentials)
    gitops = GitopsSteps(
        RepositoryGitops(data_dir, hosts, resources.open_key),
        ClusterGitops(clusters, resources.credentials, keys),
    )
    collaborators = CollaboratorSteps(hosts)
    protection = ProtectionSteps(hosts)
    secrets = SecretSteps(hosts, resources.credentials)
    webhooks = WebhookSteps(hosts, resources.credentials)
    pull_requests = PullRequestSteps(hosts)
    return (
        CredentialSteps(
            data_dir / "repositories", resources.credentials, resources.git_hosts
        ).resolve_credentials,
        repository.create_repository,
        repository.delete_repository,
        template.push_template,
        template.withdraw_template,
        environments.create_environments,
        environments.delete_environments,
        database.create_db_records,
        database.delete_db_records,
        gitops.setup_gitops,
        gitops.remove_manifests,
        cluster.apply_manifests,
        cluster.delete_manifests,
        WaitingSteps(clusters).wait_for_ready,
        FinalizeSteps(hosts, resources.engine).finalize,
        CommandSteps(data_dir, resources.credentials, hosts).run_command,
        collaborators.add_collaborators,
        collaborators.remove_collaborators,
        protection.protect_branch,
        protection.unprotect_branch,
        secrets.create_secrets,
        secrets.delete_secrets,
        webhooks.create_webhook,
        webhooks.delete_webhook,
        pull_requests.open_pull_request,
        pull_requests.close_pull_request,
        PipelineSteps(hosts).dispatch_pipeline,
        HttpSteps(resources.credentials, Guard(resources.settings.http_hosts)).http_request,
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
