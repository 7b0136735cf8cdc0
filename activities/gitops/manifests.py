"""The Kubernetes and Flux manifests of a project. Pure."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from stepway.activities.database.create_environments import EnvironmentSpec
from stepway.activities.project import ProjectRef
from stepway.hosts.errors import HostError
from stepway.hosts.paths import ssh_url
from stepway_tracking.record.errors import step_error

OWNER_LABEL = "stepway/project"
NAMESPACE_FILE = "namespace.yaml"
ENVIRONMENT_PREFIX = "environment-"
_INTERVAL = "5m"
_LABEL_LIMIT = 63
_SCHEMES = ("https://", "http://", "ssh://")


@dataclass(frozen=True)
class Deployment:
    """A project's deployment; `repository` is a URL that the cluster can reach.

    `secret` is the name of the Secret with which the cluster pulls; None for a public repository.
    """

    project: ProjectRef
    repository: str
    environments: Sequence[EnvironmentSpec]
    secret: str | None = None
    branch: str = "main"


def manifests(deployment: Deployment) -> dict[str, str]:
    """Return the YAML files by name: namespace, GitRepository, a Kustomization per environment."""
    files = objects(deployment)
    files["kustomization.yaml"] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }
    return {name: yaml.safe_dump(body, sort_keys=False) for name, body in files.items()}


def objects(deployment: Deployment) -> dict[str, dict[str, Any]]:
    """Return the objects by file name, in the order in which they can be applied."""
    files: dict[str, dict[str, Any]] = {
        NAMESPACE_FILE: _namespace(deployment.project),
        "git-repository.yaml": _git_repository(deployment),
    }
    for environment in deployment.environments:
        name = f"{ENVIRONMENT_PREFIX}{environment.name}.yaml"
        files[name] = _kustomization(deployment.project, environment)
    return files


def pull_secret(project: ProjectRef, data: Mapping[str, str]) -> dict[str, Any]:
    """Return the Secret with which the cluster pulls the repository."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(project, secret_name(project)),
        "type": "Opaque",
        # Not as `stringData`: server-side apply would never remove its keys again.
        "data": {name: b64encode(text.encode()).decode() for name, text in data.items()},
    }


def secret_name(project: ProjectRef) -> str:
    """Return the name of that Secret."""
    return f"{project.name}-git"


@dataclass(frozen=True)
class PullSecret:
    """A Secret that people must create: Flux pulls the project's repository with it.

    `keys` are the entries of its data.
    """

    namespace: str
    name: str
    keys: list[str]


def needed_secret(deployment: Deployment) -> PullSecret | None:
    """Return the Secret that the manifests refer to; None for a public repository."""
    over_ssh = deployment.repository.startswith("ssh://")
    name = secret_name(deployment.project) if over_ssh else deployment.secret
    if name is None:
        return None
    keys = ["identity", "known_hosts"] if over_ssh else ["username", "password"]
    return PullSecret(namespace_name(deployment.project), name, keys)


def namespace_name(project: ProjectRef) -> str:
    """Return OWNER-PROJECT if it is a DNS label; else a label from it and a part of the ID."""
    name = f"{project.owner}-{project.name}"
    label = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    if label == name and len(label) <= _LABEL_LIMIT:
        return label
    return f"{label[: _LABEL_LIMIT - 9].strip('-')}-{project.id[:8]}"


def cluster_url(url: str, git_host: str) -> str:
    """Return the repository's URL for Flux, which takes https://, http:// and ssh:// only.

    `USER@HOST:PATH` becomes an SSH URL, and so does a path: on `git_host`. Raises step_error.
    """
    if url.startswith("/"):
        return f"ssh://git@{git_host}{quote(url)}"
    try:
        found = ssh_url(url)
    except HostError as error:
        raise step_error(error.message, remedy=error.remedy, retry=False) from error
    if not found.startswith(_SCHEMES):
        raise step_error(
            f"Flux cannot read the repository {url!r}",
            remedy="`url` begins with https://, http:// or ssh://, or has the form "
            "USER@HOST:PATH. Correct it in the blueprint.",
            retry=False,
        )
    return found


def owner_of(namespace: bytes) -> str | None:
    """Return the project ID in a namespace manifest, or None."""
    try:
        body = yaml.safe_load(namespace)
    except yaml.YAMLError:
        return None
    labels = _mapping(_mapping(body).get("metadata")).get("labels")
    owner = _mapping(labels).get(OWNER_LABEL)
    return owner if isinstance(owner, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _labels(project: ProjectRef) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "stepway", OWNER_LABEL: project.id}


def _namespace(project: ProjectRef) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace_name(project), "labels": _labels(project)},
    }


def _metadata(project: ProjectRef, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace_name(project), "labels": _labels(project)}


def _git_repository(deployment: Deployment) -> dict[str, Any]:
    project = deployment.project
    spec: dict[str, Any] = {
        "interval": _INTERVAL,
        "url": deployment.repository,
        "ref": {"branch": deployment.branch},
    }
    if deployment.repository.startswith("ssh://"):
        spec["secretRef"] = {"name": secret_name(project)}
    elif deployment.secret:
        spec["secretRef"] = {"name": deployment.secret}
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": _metadata(project, project.name),
        "spec": spec,
    }


def _kustomization(project: ProjectRef, environment: EnvironmentSpec) -> dict[str, Any]:
    metadata = _metadata(project, f"{project.name}-{environment.name}")
    metadata["annotations"] = {"stepway/approvals": str(environment.approvals)}
    return {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": metadata,
        "spec": {
            "interval": _INTERVAL,
            "path": f"./deploy/overlays/{environment.name}",
            "prune": True,
            "wait": True,
            "timeout": _INTERVAL,
            "targetNamespace": namespace_name(project),
            "sourceRef": {"kind": "GitRepository", "name": project.name},
        },
    }
