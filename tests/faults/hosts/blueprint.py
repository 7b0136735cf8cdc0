"""The project type whose steps work on a Git host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.faults.hosts.forges import GITOPS, HOOK, OTHER, OWNER, REGISTRY, Forge

Json = dict[str, Any]

NAME = "hosted"
TEMPLATE = "hosted-template"
ENVIRONMENTS = ("staging", "production")
HOOK_URL = "https://ci.example.org/hook"
SECRET, VARIABLE, VALUE = "REGISTRY", "PORT", "8080"
BINARY = bytes(range(256)) * 20

HEARTBEAT, TIMEOUT = 10.0, 60.0
RETRY = {"maximum_attempts": 12, "initial_interval": 0.3, "maximum_interval": 2}
"""Bounds within which no fault of a host may fail a step: the faults of a round that can hit a
step are fewer than its attempts."""

UNDO = {
    "create_repository": "delete_repository",
    "create_environments": "delete_environments",
    "create_secrets": "delete_secrets",
    "create_webhook": "delete_webhook",
    "add_collaborators": "remove_collaborators",
    "create_db_records": "delete_db_records",
    "protect_branch": "unprotect_branch",
    "setup_gitops": "remove_manifests",
}


def write_hosted_blueprint(folder: Path) -> None:
    """Write the project type and its template into a folder of blueprints."""
    steps = [_step(name, *more) for name, more in _STEPS.items()]
    texts = ("folder", "credential", "namespace", "team", "registry", "hook")
    parameters = {"type": "object", "properties": {name: {"type": "string"} for name in texts}}
    found = {"name": NAME, "parameters": parameters, "steps": steps}
    (folder / f"{NAME}.yaml").write_text(yaml.safe_dump(found, sort_keys=False))
    write_template(folder / TEMPLATE)


def write_template(folder: Path) -> None:
    """Write a small template with files of each kind."""
    (folder / "bin").mkdir(parents=True)
    (folder / "copier.yml").write_text("_preserve_symlinks: true\n")
    (folder / "README.md.jinja").write_text("# {{ project_name }}\n")
    (folder / "bin" / "serve").write_text("#!/bin/sh\n")
    (folder / "bin" / "serve").chmod(0o755)
    (folder / "picture.bin").write_bytes(BINARY)
    (folder / "link").symlink_to("README.md")


def expected_files(project: str) -> dict[str, tuple[int, bytes]]:
    """Return the mode and content of each file that the template makes, by its path."""
    return {
        "README.md": (0o100644, f"# {project}\n".encode()),
        "bin/serve": (0o100755, b"#!/bin/sh\n"),
        "picture.bin": (0o100644, BINARY),
        "link": (0o120000, b"README.md"),
    }


def parameters_of(forge: Forge, credential: str, folder: Path) -> Json:
    """Return the parameters of a project on this host."""
    return {
        "folder": str(folder),
        "credential": credential,
        "namespace": OWNER,
        "team": forge.team,
        "registry": f"{forge.kind}-{REGISTRY}",
        "hook": f"{forge.kind}-{HOOK}",
    }


def _parameter(name: str) -> str:
    return f"${{{{ parameters.{name} }}}}"


def _result(step: str, name: str) -> str:
    return f"${{{{ steps.{step}.result.{name} }}}}"


_ON_HOST = {"credential": _parameter("credential"), "namespace": _parameter("namespace")}
_LISTED: list[Any] = [{"name": name, "approvals": 0} for name in ENVIRONMENTS]
_COMMIT = _result("push_template", "commit")
_REPOSITORY = {
    name: _result("create_repository", name) for name in ("name", "url", "default_branch")
}

_STEPS: dict[str, tuple[list[str], Json]] = {
    "resolve_credentials": ([], {"credential": _parameter("credential")}),
    "create_repository": (["resolve_credentials"], {**_ON_HOST, "description": "Sells things"}),
    "push_template": (["create_repository"], {**_ON_HOST, "template": TEMPLATE}),
    "create_environments": (["create_repository"], {**_ON_HOST, "environments": _LISTED}),
    "create_secrets": (
        ["create_repository"],
        {
            **_ON_HOST,
            "secrets": {SECRET: {"credential": _parameter("registry")}},
            "variables": {VARIABLE: VALUE},
        },
    ),
    "create_webhook": (
        ["create_repository"],
        {**_ON_HOST, "url": HOOK_URL, "secret": {"credential": _parameter("hook")}},
    ),
    "add_collaborators": (
        ["create_repository"],
        {
            **_ON_HOST,
            "collaborators": [{"account": OTHER, "permission": "read"}],
            "teams": [{"team": _parameter("team"), "permission": "write"}],
        },
    ),
    "create_db_records": (["push_template"], {**_REPOSITORY, "commit": _COMMIT}),
    "protect_branch": (["push_template"], {**_ON_HOST, "approvals": 1}),
    "setup_gitops": (
        ["push_template"],
        {
            "url": _result("create_repository", "url"),
            "environments": _LISTED,
            "gitops": {**_ON_HOST, "repository": GITOPS},
        },
    ),
    "finalize": (
        ["create_db_records", "create_environments", "setup_gitops", "protect_branch"],
        {
            **_ON_HOST,
            "repository": _result("create_repository", "name"),
            "commit": _COMMIT,
            "environments": _LISTED,
        },
    ),
    "simulated": (["push_template"], {"folder": _parameter("folder"), "name": "simulated"}),
}


def _step(name: str, needs: list[str], given: Json) -> Json:
    step: Json = {
        "step": name,
        "uses": "flaky" if name == "simulated" else name,
        "needs": needs,
        "with": {**given, "times": 1} if name == "simulated" else given,
        "heartbeat": HEARTBEAT,
        "timeout": TIMEOUT,
        "retry": RETRY,
    }
    return {**step, "undo": {"uses": UNDO[name]}} if name in UNDO else step
