"""`stepway token`: who may sign in with what."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer

from stepway.api.auth.tokens import TokenEntry, Tokens
from stepway.cli.client.errors import ClientError
from stepway.cli.run.database import on_database
from stepway.cli.view.output import print_json, print_table, say
from stepway.cli.view.text import date_and_clock
from stepway.runtime.scopes import Scope
from stepway.runtime.settings import Settings
from stepway_tracking.postgres import open_pool

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API's tokens.")

T = TypeVar("T")

DAYS = 90


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for, as you will recognize it.")],
    owner: Annotated[str, typer.Option(help="The person that signs in with it.")],
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may be used for; again for more.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="A group that the person belongs to; again for more.")
    ] = None,
    days: Annotated[int, typer.Option(min=0, help="Until it expires; 0 is never.")] = DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a token and print it, this once. Without --scope it may read, create and control."""
    scopes = scope or [Scope.READ, Scope.CREATE, Scope.CONTROL]
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    token = _with_tokens(
        lambda tokens: tokens.create(name, owner, scopes, groups=group or [], expires_at=expires_at)
    )
    # As it is: made for this very person, so not redacted.
    if as_json:
        typer.echo(f'{{"token": "{token}"}}')
        return
    typer.echo(token)
    typer.echo("Keep it: it cannot be shown again. Use it as STEPWAY_API_TOKEN.", err=True)


@app.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tokens, the newest first."""
    found = _with_tokens(lambda tokens: tokens.entries())
    if as_json:
        print_json([_as_json(entry) for entry in found])
        return
    columns = ("Token", "Name", "Owner", "Groups", "Scopes", "Expires", "Last used", "State")
    print_table(columns, (_row(entry) for entry in found))


@app.command()
def revoke(which: Annotated[str, typer.Argument(help="Its beginning, name or id.")]) -> None:
    """Revoke a token from now on; open streams end within a minute."""
    revoked = _with_tokens(lambda tokens: tokens.revoke(which))
    if not revoked:
        raise ClientError(f"no token {which!r} that could be revoked: `stepway token list`")
    for entry in revoked:
        say(f"Revoked {entry.prefix}… ({entry.name}, of {entry.owner})")


def _with_tokens(work: Callable[[Tokens], Awaitable[T]]) -> T:
    async def run(settings: Settings) -> T:
        pool = await open_pool(settings.database_url, max_size=1)
        try:
            return await work(Tokens(pool))
        finally:
            await pool.close()

    return on_database(run)


def _as_json(entry: TokenEntry) -> dict[str, object]:
    row = dataclasses.asdict(entry)
    return {name: str(v) if isinstance(v, datetime) else v for name, v in row.items()} | {
        "id": str(entry.id)
    }


def _row(entry: TokenEntry) -> tuple[object, ...]:
    state = "revoked" if entry.revoked_at else "valid"
    if entry.expires_at and entry.expires_at < datetime.now(UTC) and not entry.revoked_at:
        state = "expired"
    return (
        f"{entry.prefix}…",
        entry.name,
        entry.owner,
        ", ".join(entry.groups),
        ", ".join(entry.scopes),
        _moment(entry.expires_at) or "never",
        _moment(entry.last_used_at) or "never",
        state,
    )


def _moment(moment: datetime | None) -> str:
    return date_and_clock(moment.isoformat()) if moment else ""
