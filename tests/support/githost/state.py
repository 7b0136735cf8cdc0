"""What the host knows: accounts, tokens, repositories and what belongs to them."""

from __future__ import annotations

import itertools
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dulwich.repo import Repo

Json = dict[str, Any]


@dataclass
class Team:
    """A team of an organization; `members` are names of accounts."""

    id: int
    slug: str
    members: set[str] = field(default_factory=set)


@dataclass
class Account:
    """A person, or an organization or group.

    `name` is a group's whole path. `members` maps a name to its role (`owner`, `member`, or the
    host's own). `single_sign_on` needs tokens that are authorized for this organization. `plan` is
    `free` or `team`. `options` is for what only one host knows.
    """

    id: int
    name: str
    organization: bool = False
    members: dict[str, str] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    single_sign_on: bool = False
    plan: str = "team"
    visibility: str = "public"
    options: Json = field(default_factory=dict)


@dataclass
class Token:
    """`scopes` is None for a token that has all rights of its account.

    `kind` is `personal`, `fine-grained`, `installation`, `group`, `project` or `oauth`.
    `authorized` are the organizations with single sign-on that take it.
    """

    id: int
    value: str = field(repr=False)
    account: str
    scopes: set[str] | None = None
    expires_at: datetime | None = None
    revoked: bool = False
    kind: str = "personal"
    permissions: dict[str, str] = field(default_factory=dict)
    authorized: set[str] = field(default_factory=set)
    options: Json = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return not self.revoked and (self.expires_at is None or self.expires_at > now())


@dataclass
class Repository:
    """A repository; `path` is its bare Git repository.

    `secrets` and `variables` map `(environment or None, name)` to the value; secrets are stored
    decrypted. `hidden` is how many more reads answer "not found" after the creation.
    """

    id: int
    owner: str
    name: str
    path: Path
    description: str = ""
    visibility: str = "private"
    topics: list[str] = field(default_factory=list)
    default_branch: str = "main"
    archived: bool = False
    created_at: datetime = field(default_factory=lambda: now())
    hidden: int = 0
    ssh: str = "git@127.0.0.1:"
    collaborators: dict[str, str] = field(default_factory=dict)
    teams: dict[str, str] = field(default_factory=dict)
    environments: dict[str, Json] = field(default_factory=dict)
    secrets: dict[tuple[str | None, str], str] = field(default_factory=dict)
    variables: dict[tuple[str | None, str], str] = field(default_factory=dict)
    keys: dict[int, Json] = field(default_factory=dict)
    hooks: dict[int, Json] = field(default_factory=dict)
    protections: dict[str, Json] = field(default_factory=dict)
    rulesets: dict[int, Json] = field(default_factory=dict)
    pulls: dict[int, Json] = field(default_factory=dict)
    statuses: dict[str, list[Json]] = field(default_factory=dict)
    dispatches: list[Json] = field(default_factory=list)
    options: Json = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Owner and name, with a slash."""
        return f"{self.owner}/{self.name}"

    @property
    def ssh_url(self) -> str:
        """Where Git reaches it over SSH."""
        return f"{self.ssh}{self.full_name}.git"

    @property
    def empty(self) -> bool:
        """Whether it has no branch."""
        return not self.branches()

    def branches(self) -> dict[str, str]:
        """Return the commit ID of each branch."""
        with Repo(str(self.path)) as repo:
            found = repo.refs.as_dict(b"refs/heads")  # type: ignore[arg-type]
        return {name.decode(): commit.decode() for name, commit in found.items()}


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class World:
    """All that a host stores. `folder` holds the bare repositories."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.accounts: dict[str, Account] = {}
        self.tokens: dict[str, Token] = {}
        self.repositories: dict[int, Repository] = {}
        self.moved: dict[str, int] = {}
        """Old full names of renamed repositories, to the repository's ID."""
        self.hide_new = 0
        """Reads for which a new repository is "not found"."""
        self.ssh = "git@127.0.0.1:"
        """What stands before a new repository's name in its address for SSH."""
        self.largest_file = 100 << 20
        """Bytes of the largest file that a push may contain."""
        self.options: Json = {}
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        """Return an ID that nothing has yet."""
        return next(self._ids)

    def add_account(self, name: str, **fields: Any) -> Account:
        """Add a person; with `organization=True` an organization or group."""
        account = Account(self.next_id(), name, **fields)
        self.accounts[name] = account
        return account

    def add_organization(self, name: str, owner: str = "", **fields: Any) -> Account:
        """Add an organization or group, with its owner."""
        members = {owner: "owner"} if owner else {}
        return self.add_account(name, organization=True, members=members, **fields)

    def add_team(self, organization: str, slug: str, *members: str) -> Team:
        """Add a team to an organization."""
        team = Team(self.next_id(), slug, set(members))
        self.accounts[organization].teams[slug] = team
        return team

    def add_token(
        self,
        account: str,
        scopes: set[str] | None = None,
        *,
        prefix: str = "ghp_",
        lasts: timedelta | None = None,
        **fields: Any,
    ) -> Token:
        """Add a token of an account; `lasts` from now on, negative for an expired one."""
        token = Token(
            self.next_id(),
            f"{prefix}{secrets.token_hex(18)}",
            account,
            scopes,
            now() + lasts if lasts is not None else None,
            **fields,
        )
        self.tokens[token.value] = token
        return token

    def add_repository(self, owner: str, name: str, **fields: Any) -> Repository:
        """Create an empty repository, which `hide_new` reads do not see."""
        number = self.next_id()
        path = self.folder / f"{number}.git"
        branch = fields.get("default_branch", "main")
        Repo.init_bare(str(path), mkdir=True, default_branch=branch.encode()).close()
        made = Repository(number, owner, name, path, hidden=self.hide_new, ssh=self.ssh, **fields)
        self.repositories[number] = made
        return made

    def find(self, full_name: str) -> Repository | None:
        """Return the repository by its present full name, hidden or not."""
        wanted = full_name.casefold()
        for repository in self.repositories.values():
            if repository.full_name.casefold() == wanted:
                return repository
        return None

    def read(self, full_name: str) -> Repository | None:
        """Return the repository; None while a new one is hidden. Each read counts."""
        found = self.find(full_name)
        if found is not None and found.hidden > 0:
            found.hidden -= 1
            return None
        return found

    def rename(self, repository: Repository, owner: str, name: str) -> None:
        """Move the repository; its old name then redirects."""
        self.moved[repository.full_name.casefold()] = repository.id
        repository.owner, repository.name = owner, name
        self.moved.pop(repository.full_name.casefold(), None)

    def delete(self, repository: Repository) -> None:
        """Delete the repository with its files."""
        del self.repositories[repository.id]
        self.moved = {old: to for old, to in self.moved.items() if to != repository.id}
        shutil.rmtree(repository.path)
