"""Two workers on two machines, which share no folder: every built-in blueprint, and kills."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import pytest
import yaml
from dulwich.refs import Ref
from dulwich.repo import Repo
from temporalio.client import Client

from stepway.activities.git.repositories import add_commit, changed_tree
from stepway.blueprints.catalog import BUILT_IN, Catalog
from stepway.runtime.settings import Settings
from tests.support.databases import empty_database
from tests.support.githost.faults import Hold
from tests.support.githost.server import Host
from tests.support.githost.state import Repository
from tests.support.machines import Machine, why_not
from tests.support.record import Record
from tests.support.servers import PATIENCE, Json, eventually
from tests.support.sites import HOSTS, Site, two_machines

HEARTBEAT = 6
"""Seconds after which Temporal takes a killed worker's step for lost."""

WEB_SERVICE = "web-service"
CATALOG = Catalog.load()
STEPS = [step.step for step in CATALOG.get(WEB_SERVICE).steps]

Condition = Callable[[], Awaitable[bool]]

Started = tuple[str, str, Json]
"""The kind of the host, a project and its parameters."""


@pytest.fixture(scope="module")
async def site(servers: Settings, pool: asyncpg.Pool, temporal: Client) -> AsyncIterator[Site]:
    """A site with a database of its own, because other machines are known from the database."""
    if reason := why_not():
        pytest.skip(reason)
    with TemporaryDirectory(prefix="stepway-machines-") as name:
        folder = Path(name)
        write_blueprints(folder / "blueprints")
        async with (
            empty_database(pool, servers.database_url) as url,
            two_machines(folder, servers, url, temporal) as site,
        ):
            yield site


def write_blueprints(folder: Path) -> None:
    """Copies of built-in blueprints with a short time until a lost step is noticed."""
    folder.mkdir()
    quick = yaml.safe_load((BUILT_IN / f"{WEB_SERVICE}.yaml").read_text())
    quick["name"] = f"quick-{WEB_SERVICE}"
    for step in quick["steps"]:
        # One attempt suffices: one that was lost with its worker does not count.
        step |= {"heartbeat": HEARTBEAT, "retry": {"maximum_attempts": 1, "initial_interval": 0.1}}
    command = 'while [ ! -e "$0" ]; do sleep 0.05; done'
    one_machine = {
        "name": "one-machine",
        "steps": [
            {"step": "create_repository", "uses": "create_repository"},
            {
                "step": "held",
                "uses": "run_command",
                "with": {"command": ["sh", "-c", command, str(folder / "gate")]},
                "heartbeat": HEARTBEAT,
                "retry": {"maximum_attempts": 0, "initial_interval": 1, "backoff_coefficient": 1},
            },
        ],
    }
    for blueprint in (quick, one_machine):
        text = yaml.safe_dump(blueprint, sort_keys=False, allow_unicode=True)
        (folder / f"{blueprint['name']}.yaml").write_text(text)


def parameters_of(site: Site, blueprint: str, kind: str) -> Json:
    """Return what the blueprint needs to work on a host only; make a repository to import."""
    given: Json = {
        "credential": kind,
        "namespace": "acme",
        "gitops": {"credential": kind, "namespace": "acme", "repository": "fleet"},
        "webhook": "https://ci.example.com/hook",
        "repository": f"old-{uuid4().hex[:8]}",
    }
    known = (CATALOG.get(blueprint).parameters or {}).get("properties", {})
    parameters = {name: value for name, value in given.items() if name in known}
    if "repository" in parameters:
        made = site.hosts[kind].world.add_repository("acme", given["repository"])
        with Repo(str(made.path)) as repo:
            commit_id = add_commit(
                repo, changed_tree(repo, None, []), None, message="Begin", project_id="", at=0
            )
            repo.refs[Ref(b"refs/heads/main")] = commit_id
    return parameters


async def test_two_machines_run_all_blueprints_on_all_hosts(site: Site) -> None:
    await site.until_both_run()
    both = {machine.identity for machine in site.network.machines}
    # A worker takes the steps of its initializations itself while it has room. It has room for one.
    for _ in range(5):
        started: list[Started] = []
        for blueprint in sorted(CATALOG.blueprints):
            for kind in HOSTS:
                parameters = parameters_of(site, blueprint, kind)
                project = await site.stepway.create(blueprint, **parameters)
                started.append((kind, project, parameters))
        for _, project, _ in started:
            await active(site, project)
        together = 0
        for kind, project, parameters in started:
            await check(site, kind, project, parameters)
            tried = await site.workers(project)
            together += set().union(*tried.values()) == both
        if together:
            break
    else:
        pytest.fail("no project had steps on both machines")
    assert not [one for host in site.hosts.values() for one in host.violations]


async def active(site: Site, project: str) -> list[Json]:
    """Wait until the project is active; return its steps."""

    async def is_active() -> Json | None:
        found = await site.stepway.initialization(project)
        assert found["project"]["status"] in ("initializing", "active"), found
        return found if found["project"]["status"] == "active" else None

    steps: list[Json] = (await eventually(is_active, 3 * PATIENCE))["steps"]
    assert {step["status"] for step in steps} <= {"completed", "skipped"}
    return steps


async def check(site: Site, kind: str, project: str, parameters: Json) -> None:
    """Assert that each object of the project exists once, and nothing of it on the machines."""
    found = await site.stepway.initialization(project)
    name = found["project"]["name"]
    world = site.hosts[kind].world
    repository = parameters.get("repository", name)
    (made,) = [one for one in world.repositories.values() if one.name == repository]
    # The one commit is the template's, or it was there and the template is in a pull request.
    assert len(messages(made)) == 1
    is_import = "repository" in parameters
    assert len(made.pulls) == is_import
    assert len(made.branches()) == 1 + is_import
    assert len(made.hooks) == ("webhook" in parameters)
    steps = {step["step"]: step for step in found["steps"]}
    assert await site.count("repositories", project) == ("create_db_records" in steps)
    environments = await site.count("environments", project)
    assert environments == (3 if "create_environments" in steps else 0)
    if steps.get("create_environments", {}).get("metadata", {}).get("on_host"):
        assert len(made.environments) == environments
    if "setup_gitops" in steps:
        fleet = world.find("acme/fleet")
        assert fleet is not None
        assert [text for text in messages(fleet) if text.endswith(f"/{name}")] == [
            f"Deploy {found['project']['owner']}/{name}"
        ]
    left = [path for machine in site.network.machines for path in leftovers(machine, name)]
    assert not left
    await Record(site.pool, project).check()


def messages(repository: Repository) -> list[str]:
    """Return the messages of the commits on the main branch."""
    with Repo(str(repository.path)) as repo:
        head = repo.refs[Ref(b"refs/heads/main")]
        walker = repo.get_walker(include=[head])
        return [entry.commit.message.decode().partition("\n")[0] for entry in walker]


def leftovers(machine: Machine, name: str) -> list[str]:
    """Return what is left of a project, or of any repository, on a machine's disk.

    A worker that was killed could not clear its temporary folder.
    """
    places = ("data", "tmp", "home") if machine.runs else ("data",)
    folders = [path for place in places for path in (machine.disk / place).rglob("*")]
    return [
        str(path.relative_to(machine.disk))
        for path in folders
        if path.is_dir() and (name in path.name or (path / "objects").is_dir())
    ]


@contextmanager
def held_on_host(host: Host, pattern: str, skip: int) -> Iterator[Condition]:
    """Stop the next such request in the middle; yields whether it has come."""
    hold = Hold()
    host.faults.add(pattern, effect=True, skip=skip, hold=hold)

    async def has_come() -> bool:
        return hold.reached

    try:
        yield has_come
    finally:
        hold.release()
        host.faults.clear()


@asynccontextmanager
async def held(site: Site, step: str) -> AsyncIterator[Condition]:
    """Stop the step in the middle: after what it does on the host, before it knows it."""
    if step in REQUESTS:
        with held_on_host(site.hosts["github"], REQUESTS[step], EARLIER.get(step, 0)) as has_come:
            yield has_come
        return
    assert step in TABLES, f"say how to stop {step} in the middle: in REQUESTS or TABLES"
    async with site.pool.acquire() as connection, connection.transaction():
        await connection.execute(f"LOCK TABLE {TABLES[step]} IN SHARE MODE")

        async def is_waited_for() -> bool:
            query = "SELECT count(*) FROM pg_locks WHERE relation = $1::regclass AND NOT granted"
            return bool(await site.pool.fetchval(query, TABLES[step]))

        yield is_waited_for


REQUESTS = {
    "resolve_credentials": r"GET /api/v3/user$",
    "create_repository": r"POST /api/v3/orgs/acme/repos$",
    "push_template": r"POST /acme/p-[0-9a-f]+\.git/git-receive-pack$",
    "create_environments": r"PUT /api/v3/repos/acme/[^/]+/environments/staging$",
    "setup_gitops": r"POST /acme/fleet\.git/git-receive-pack$",
    "finalize": r"GET /acme/p-[0-9a-f]+\.git/info/refs$",
}
EARLIER = {"finalize": 2}
"""How many such requests earlier steps make: the push asks for the branches, then for its own."""

TABLES = {"create_db_records": "repositories"}


@pytest.mark.parametrize("step", STEPS)
async def test_the_other_machine_goes_on_after_a_kill_in_a_step(site: Site, step: str) -> None:
    await site.start_all()
    async with held(site, step) as has_come:
        parameters = parameters_of(site, WEB_SERVICE, "github")
        project = await site.stepway.create(f"quick-{WEB_SERVICE}", **parameters)
        await eventually(has_come)
        killed = await site.machine_at(project, step)
        lost, other = killed.identity, site.network.other(killed)
        await site.until_asking(other)
        await killed.kill()
    await active(site, project)
    first, *_, last = await site.stepway.attempts(project, step)
    assert (first["worker"], first["outcome"]) == (lost, "lost")
    assert (last["worker"], last["outcome"]) == (other.identity, "completed")
    assert other.identity in (await site.workers(project))["finalize"]
    await check(site, "github", project, parameters)
    assert not site.hosts["github"].violations


async def test_the_local_host_says_that_it_is_for_one_machine(site: Site) -> None:
    one, two = site.network.machines
    await two.leave()
    await one.start()
    first = await site.stepway.create("one-machine")
    await site.stepway.until_step(first, "held", "running")
    made = one.identity
    await one.kill()

    # The first project waits for the machine with its repository.
    await two.start()

    async def said() -> str | None:
        found = (await site.stepway.steps(first))["held"]
        error: str | None = found["metadata"].get("last_error")
        return error

    error = await eventually(said, 2 * PATIENCE)
    assert f"The worker {made} created the repository" in error
    assert f"on the machine one; the worker {two.identity} on two has no access to it" in error
    assert "The host `local` works on one machine only" in error
    assert (
        "credential of a Git host"
        in (await site.stepway.steps(first))["held"]["metadata"]["remedy"]
    )

    # Another project is on the second machine, and says that there is a first.
    (site.stepway.folder / "blueprints" / "gate").touch()
    second = await site.stepway.create("one-machine")
    (row, _) = await active(site, second)
    assert row["message"] == (
        f"The worker {made} has repositories on the machine one. "
        "The host `local` works on one machine only"
    )
    await two.leave()
    await one.start()
    await active(site, first)
