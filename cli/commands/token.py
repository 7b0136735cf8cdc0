"""`stepway token`: API tokens."""

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

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Create, list and revoke API tokens."
)

T = TypeVar("T")

DAYS = 90


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Label to recognize the token by.")],
    owner: Annotated[str, typer.Option(help="Person who signs in with it.")],
    scope: Annotated[list[Scope] | None, typer.Option(help="Allowed scope (repeatable).")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Group the person belongs to (repeatable).")
    ] = None,
    days: Annotated[int, typer.Option(min=0, help="Days until it expires; 0 for never.")] = DAYS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Create a token and print it once. Default scopes: read, create, control."""
    scopes = scope or [Scope.READ, Scope.CREATE, Scope.CONTROL]
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    token = _with_tokens(
        lambda tokens: tokens.create(name, owner, scopes, groups=group or [], expires_at=expires_at)
    )
    # Not redacted: the operator needs the token.
    if as_json:
        typer.echo(f'{{"token": "{token}"}}')
        return
    typer.echo(token)
    typer.echo("Store it now: it cannot be shown again. Use it as STEPWAY_API_TOKEN.", err=True)


@app.command("list")
def list_tokens(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tokens, newest first."""
    found = _with_tokens(lambda tokens: tokens.entries())
    if as_json:
        print_json([_as_json(entry) for entry in found])
        return
    columns = ("Token", "Name", "Owner", "Groups", "Scopes", "Expires", "Last used", "State")
    print_table(columns, (_row(entry) for entry in found))


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="Token ID, prefix or name.")],
    owner: Annotated[str | None, typer.Option(help="Only a token of this owner.")] = None,
) -> None:
    """Revoke a token. Open streams end within a minute."""
    revoked = _with_tokens(lambda tokens: tokens.revoke(which, owner))
    if not revoked:
        raise ClientError(f"no active token matches {which!r}; see `stepway token list`")
    for entry in revoked:
        say(f"Revoked {entry.prefix}… ({entry.name}, owner {entry.owner})")


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
