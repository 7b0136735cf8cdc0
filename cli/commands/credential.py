"""`stepway credential`: the encrypted secrets that steps use."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from stepway.cli.client.errors import ClientError
from stepway.cli.run.database import on_database
from stepway.cli.view.output import print_json, print_table, say
from stepway.cli.view.text import counted, date_and_clock
from stepway.runtime.postgres import open_engine
from stepway.runtime.settings import Settings
from stepway.vault.keyring import open_keyring
from stepway.vault.keys import new_key
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
        str, typer.Option(help="Account name. Default: the credential's name.")
    ] = "",
) -> None:
    """Store a secret, read from standard input or entered at a prompt."""
    value = _secret()
    _with_vault(lambda vault: vault.put(owner, name, value, account))
    say(f"Stored {name} for {_shown(owner)}")


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
                    "key_id": entry.key_id,
                    "updated_at": entry.updated_at.isoformat(),
                }
                for entry in found
            ]
        )
        return
    columns = ("Name", "Owner", "Account", "Key", "Updated")
    rows = ((e.name, e.owner, e.account, e.key_id, _moment(e.updated_at)) for e in found)
    print_table(columns, rows)


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
