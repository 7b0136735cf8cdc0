"""Every command and code block of README and the docs works as printed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import pytest

from stepway.runtime.settings import Settings
from tests.docs.blocks import ROOT, Block, blocks, pages
from tests.docs.reader import Reader, clean_environment

HOST = "needs a host; tests/integration/hosts has hosts, and keep-credentials.md stores credentials"

NOT_RUN = {
    "README.md: Two commands": "test_demo runs the demo; scripts/test runs this very test",
    "docs/quickstart.md: Start it": "test_demo runs the demo",
    "docs/how-to/sign-in.md: An OpenID provider": "needs a provider; tests/security has one",
    "docs/how-to/read-logs.md: Keep old logs outside Postgres": (
        "needs a bucket; tests/integration/store/test_archived_logs.py has one"
    ),
    "docs/how-to/keep-credentials.md: Connect Git hosts and clusters #2": (
        "needs an App, a cluster and a host; tests/security/test_credential_check.py has them"
    ),
    "docs/how-to/keep-credentials.md: Try a credential": (
        "needs a token of GitHub; tests/security/test_credential_check.py has a host"
    ),
    "docs/how-to/use-github.md: Token and rights": HOST,
    "docs/how-to/use-github.md: In a blueprint": HOST,
    "docs/how-to/use-github.md: A repository that exists": HOST,
    "docs/how-to/use-gitlab.md: Token and rights": HOST,
    "docs/how-to/use-gitlab.md: In a blueprint": HOST,
    "docs/how-to/use-gitea.md: Token and rights": HOST,
    "docs/how-to/use-gitea.md: In a blueprint": HOST,
    "docs/how-to/deploy-to-kubernetes.md: Access to the cluster": (
        "needs a cluster; tests/integration/clusters has one"
    ),
    "docs/how-to/deploy-to-kubernetes.md: Set the deployment up in a cluster": (
        "keep-credentials.md stores one of the same kind"
    ),
    "docs/how-to/deploy-to-kubernetes.md: Without a deploy key": (
        "keep-credentials.md stores one of the same kind"
    ),
    "docs/how-to/install.md: 1. Build the wheels": "tests/packaging builds the wheels",
    "docs/how-to/install.md: 2. Install the server": "tests/packaging installs them",
    "docs/how-to/install.md: 2. Install the server #2": "tests/packaging installs them",
    "docs/how-to/install.md: 2. Install the server #3": "tests/packaging installs them",
    "docs/how-to/three-machines.md: With containers": "needs Docker",
    "docs/how-to/three-machines.md: Create projects without a shared folder": (
        "needs a host; tests/acceptance/test_two_machines.py has hosts"
    ),
    "docs/how-to/change-a-workflow.md: Patch #2": "records histories again",
    "docs/how-to/track-your-own-workflow.md: 1. Install it": "tests/packaging installs the library",
}
"""Blocks that are not run, with the reason."""

SHOWN = {"", "text", "ini", "nginx", "css"}
"""Languages of blocks that are only read: output, and settings of other programs."""

COMPILED_BY_WEB = {"html", "ts", "vue"}
"""Languages of the component's guide, whose blocks the web's own tests compile."""

BEFORE = {
    "docs/how-to/troubleshoot.md": """
        for name in orders bills; do
          .venv/bin/stepway create $name --param credential=github --watch && exit 1
        done; true
    """,
}
"""Preparation before a page is followed."""

COMMANDS = [
    page
    for page in pages()
    if any(block.language == "sh" and block.name not in NOT_RUN for block in blocks(page))
]


def of_language(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages."""
    return [block for page in pages() for block in blocks(page) if block.language in languages]


def page_name(page: Path) -> str:
    """Return the page's path relative to the repository."""
    return str(page.relative_to(ROOT))


@pytest.fixture
async def reader(servers: Settings) -> AsyncIterator[Reader]:
    """A reader with a separate database and task queue."""
    name = f"docs_{uuid4().hex[:8]}"
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    with TemporaryDirectory(prefix="stepway-docs-", ignore_cleanup_errors=True) as folder:
        reader = Reader(
            Path(folder),
            clean_environment(
                STEPWAY_DATABASE_URL=re.sub(r"/[^/?]*($|\?)", rf"/{name}\1", servers.database_url),
                STEPWAY_REDIS_URL=servers.redis_url,
                STEPWAY_TEMPORAL_ADDRESS=servers.temporal_address,
                STEPWAY_TEMPORAL_TASK_QUEUE=name,
                TEMPORAL_ADDRESS=servers.temporal_address,
                DNS_TOKEN="a-secret-of-the-registrar",
                GITHUB_TOKEN="a-token-of-github",
                GITLAB_TOKEN="a-token-of-gitlab",
            ),
        )
        try:
            yield reader
        finally:
            await reader.stop_all()


@pytest.mark.parametrize("page", COMMANDS, ids=page_name)
async def test_the_commands_of_a_page_work_in_order(reader: Reader, page: Path) -> None:
    if before := BEFORE.get(page_name(page)):
        await reader.run(before)
    for block in blocks(page):
        if block.name not in NOT_RUN:
            await reader.follow(block)


def test_only_blocks_that_are_there_are_left_out() -> None:
    names = {block.name for page in pages() for block in blocks(page)}
    assert NOT_RUN.keys() <= names


def test_every_block_is_of_a_language_that_is_tested_or_only_read() -> None:
    tested = {"sh", "python", "yaml", "sql", "json"} | SHOWN | COMPILED_BY_WEB
    assert [
        block.name for page in pages() for block in blocks(page) if block.language not in tested
    ] == []


@pytest.mark.parametrize("block", of_language("python"), ids=lambda block: block.name)
def test_python_compiles(block: Block) -> None:
    code = block.code
    if not block.file:
        # A part of a workflow's method.
        code = "async def run(self):\n" + re.sub(r"^", "    ", code, flags=re.M)
    compile(code, block.name, "exec")


@pytest.mark.parametrize("block", of_language("json"), ids=lambda block: block.name)
def test_json_is_json(block: Block) -> None:
    for line in block.code.splitlines():
        json.loads(line)


@pytest.mark.parametrize("block", of_language("sql"), ids=lambda block: block.name)
async def test_statements_run(pool: asyncpg.Pool, block: Block) -> None:
    await pool.execute(block.code.replace(":'project'", f"'{uuid4()}'"))


def test_the_chinese_readme_has_the_same_blocks() -> None:
    def code(page: str) -> list[str]:
        found = blocks(ROOT / page)
        return [re.sub(r" +# (?!exits).*", "", block.code) for block in found]

    assert code("README.zh.md") == code("README.md")
