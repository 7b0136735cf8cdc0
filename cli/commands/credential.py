"""`stepway credential`: the encrypted secrets that steps use."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from stepway.activities.credentials.checking import check_credential
from stepway.activities.credentials.credentials import Credentials
from stepway.activities.credentials.git_hosts import GitHosts
from stepway.cli.client.errors import ClientError
from stepway.cli.run.database import on_database
from stepway.cli.view.credential import CheckResult, as_object, print_result
from stepway.cli.view.output import print_json, print_table, say
from stepway.cli.view.text import counted, date_and_clock
from stepway.hosts.errors import HostError
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
from stepway.vault.kinds import GIT_HOSTS, IN_CLUSTER, CredentialKind, Target
from stepway.vault.known import SecretName
from stepway.vault.references import learn_credential
from stepway.vault.vault import EVERYONE, Vault

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Manage the credentials that steps use."
)

T = TypeVar("T")

Name = Annotated[str, typer.Argument(help="Credential name, as used in blueprints.")]
Owner = Annotated[str, typer.Option(help="Owner whose projects may use it; * for everyone.")]


@app.command("set")
def set_credential(
    name: Name,
    owner: Owner = EVERYONE,
    account: Annotated[
        str,
        typer.Option(
            help="Account name: the owner of new repositories, or the user of a password. "
            "Default: the account behind the secret, or the credential's name without --kind."
        ),
    ] = "",
    kind: Annotated[
        CredentialKind | None, typer.Option(help="What the secret is. Default: any text.")
    ] = None,
    url: Annotated[
        str,
        typer.Option(
            help="The host's address as people open it. Default: github.com or gitlab.com."
        ),
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(help="File with the authority's certificate (PEM), if it is a private one."),
    ] = None,
    known_hosts: Annotated[
        Path | None,
        typer.Option(
            help="Public keys of the host's SSH server: file with the output of "
            "`ssh-keyscan HOST`. With --kind ssh, or a Git host whose repositories Flux reads."
        ),
    ] = None,
    app_id: Annotated[
        str, typer.Option(help="With --kind github-app: the App's ID or client ID.")
    ] = "",
    in_cluster: Annotated[
        bool,
        typer.Option(
            "--in-cluster",
            help="With --kind kubernetes: the service account of the worker's pod, no secret.",
        ),
    ] = False,
) -> None:
    """Store a secret, read from standard input or entered at a prompt."""
    target = Target(kind, url, *_files(kind, ca, known_hosts, app_id))
    if in_cluster and kind is not CredentialKind.KUBERNETES:
        raise ClientError("--in-cluster belongs to --kind kubernetes")
    value = IN_CLUSTER if in_cluster else _secret()
    form = _with_vault(lambda vault: vault.put(owner, name, value, account, target))
    if form.target.kind is None:
        say(f"Stored {name} for {_shown(owner)}")
        return
    place = f" at {form.target.url}" if form.target.url else ""
    say(f"Stored {name} for {_shown(owner)}: {form.target.kind}{place}")
    say(f"Try it: stepway credential check {name}{_owner_option(owner)}")


@app.command("list")
def list_credentials(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the credentials, without their secrets."""
    found = _with_vault(lambda vault: vault.entries())
    if as_json:
        print_json(
            [
                {
                    "owner": entry.owner,
                    "name": entry.name,
                    "account": entry.account,
                    "kind": entry.kind,
                    "url": entry.url,
                    "key_id": entry.key_id,
                    "updated_at": entry.updated_at.isoformat(),
                }
                for entry in found
            ]
        )
        return
    columns = ("Name", "Owner", "Kind", "URL", "Account", "Key", "Updated")
    rows = (
        (e.name, e.owner, e.kind or "", e.url or "", e.account, e.key_id, _moment(e.updated_at))
        for e in found
    )
    print_table(columns, rows)


@app.command("check")
def check(
    name: Name,
    owner: Owner = EVERYONE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Use a credential once, and show its account, scopes and expiry; exit status 1 if it fails."""
    found = _with_vault(lambda vault: _tried(vault, owner, name))
    if as_json:
        print_json(as_object(found))
    else:
        print_result(found)
    if found.error is not None:
        raise typer.Exit(1)


async def _tried(vault: Vault, owner: str, name: str) -> CheckResult:
    """Use the credential once. Raises ClientError if there is none."""
    secret = await vault.find(owner, name)
    if secret is None:
        raise ClientError(
            f"no credential {name!r} for {_shown(owner)}; see `stepway credential list`"
        )
    secret_name = SecretName(owner, name)
    learn_credential(secret_name, secret)
    hosts = GitHosts(Credentials(vault))
    try:
        checked = await check_credential(hosts, secret_name, secret)
    except HostError as error:
        return CheckResult(name, secret.target, error=error)
    finally:
        await hosts.close()
    return CheckResult(name, secret.target, checked)


@app.command()
def remove(name: Name, owner: Owner = EVERYONE) -> None:
    """Delete a credential."""
    if not _with_vault(lambda vault: vault.remove(owner, name)):
        raise ClientError(
            f"no credential {name!r} for {_shown(owner)}; see `stepway credential list`"
        )
    say(f"Removed {name} for {_shown(owner)}")


@app.command("new-key")
def print_new_key(
    key_id: Annotated[str, typer.Argument(help="Key ID, for example 2026-07.")],
) -> None:
    """Print a new key for STEPWAY_SECRET_KEYS; list it first, before the keys in use."""
    try:
        typer.echo(new_key(key_id))
    except ValueError as error:
        raise ClientError(str(error)) from error


@app.command()
def rotate() -> None:
    """Re-encrypt all credentials with the newest key; Temporal still needs the older keys."""
    again = _with_vault(lambda vault: vault.encrypt_again())
    say(f"Re-encrypted: {counted(again, 'credential')}")


def _secret() -> str:
    if sys.stdin.isatty():
        value: str = typer.prompt("Secret", hide_input=True, confirmation_prompt=True)
        return value
    return sys.stdin.read().removesuffix("\n")


def _files(
    kind: CredentialKind | None, ca: Path | None, known_hosts: Path | None, app_id: str
) -> tuple[str | None, dict[str, str]]:
    """The authority and the options of a target. Raises ClientError."""
    is_ssh = kind is CredentialKind.SSH
    if ca and is_ssh:
        raise ClientError("--ca is for https; for --kind ssh use --known-hosts")
    if known_hosts and not is_ssh and kind not in GIT_HOSTS:
        raise ClientError("--known-hosts belongs to --kind ssh, or that of a Git host")
    known = _text(known_hosts, "the output of `ssh-keyscan`") if known_hosts else None
    options = {"app_id": app_id} if app_id else {}
    if is_ssh:
        return known, options
    authority = _text(ca, "the PEM form") if ca else None
    return authority, options | ({"known_hosts": known} if known else {})


def _text(file: Path, form: str) -> str:
    try:
        return file.read_text()
    except OSError as error:
        raise ClientError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClientError(f"{file} is not a text file: give {form}") from error


def _owner_option(owner: str) -> str:
    return "" if owner == EVERYONE else f" --owner {owner}"


def _with_vault(work: Callable[[Vault], Awaitable[T]]) -> T:
    async def run(settings: Settings) -> T:
        engine = open_engine(settings.sqlalchemy_url)
        try:
            return await work(Vault(engine, open_keyring(settings.keys)))
        finally:
            await engine.dispose()

    return on_database(run)


def _shown(owner: str) -> str:
    return "everyone" if owner == EVERYONE else owner


def _moment(moment: object) -> str:
    return date_and_clock(str(moment).replace(" ", "T"))
