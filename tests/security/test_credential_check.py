"""`stepway credential check` uses a credential once and tells what it found."""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import asyncpg
import asyncssh
import pytest
from click.testing import CliRunner, Result

from stepway.cli.client.errors import ClientError
from stepway.cli.main import load_command
from stepway.runtime.settings import Settings
from stepway.vault.keys import new_key
from tests.support.githost.answers import Answer
from tests.support.githost.faults import html_page
from tests.support.githost.github.pushes import GitHubSurface
from tests.support.githost.server import Host, running_host
from tests.support.secrets_of_kinds import certificate, ec_key, kubeconfig, pem_of, ssh_key

Run = Callable[..., Awaitable[Result]]
KEY = new_key("checks")
TOKEN = "the-token-of-a-service-account"


@pytest.fixture
async def run(servers: Settings, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `stepway credential …` on the session's database, without credentials of others."""
    monkeypatch.setenv("STEPWAY_DATABASE_URL", servers.database_url)
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", KEY)
    await pool.execute("DELETE FROM credentials WHERE name = 'forge'")

    async def invoke(*words: str, input: str | None = None) -> Result:
        command = partial(CliRunner().invoke, load_command("credential"), words, input)
        result = await asyncio.to_thread(command)
        if isinstance(result.exception, ClientError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result

    return invoke


@pytest.fixture
def host() -> Iterator[Host]:
    """A GitHub with the person erin and the organization acme."""
    with running_host(GitHubSurface) as host:
        host.world.add_account("erin")
        host.world.add_organization("acme", owner="erin")
        yield host
        assert not host.violations


async def put(run: Run, secret: str, *words: str) -> None:
    assert (await run("set", "forge", *words, input=secret)).exit_code == 0


async def checked(run: Run) -> tuple[int, dict[str, object]]:
    result = await run("check", "forge", "--json")
    return result.exit_code, json.loads(result.stdout)


async def test_it_tells_account_scopes_expiry_and_what_is_missing(run: Run, host: Host) -> None:
    token = host.world.add_token("erin", {"repo"}, lasts=timedelta(days=30, minutes=5))
    await put(run, token.value, "--kind", "github", "--url", host.url)
    status, said = await checked(run)
    assert status == 0
    assert token.expires_at is not None
    assert said | {"scopes": None} == {
        "name": "forge",
        "kind": "github",
        "url": host.url,
        "works": True,
        "asked": True,
        "account": "erin",
        "account_kind": "user",
        "scopes": None,
        "expires_at": token.expires_at.replace(microsecond=0).isoformat(),
        "lacks": {"workflows": ["workflow"]},
    }
    assert "repo" in str(said["scopes"])
    shown = await run("check", "forge")
    assert shown.exit_code == 0
    assert f"✓ forge (github at {host.url}) works" in shown.output
    assert "erin (user)" in shown.output
    assert "in 30 days" in shown.output
    assert "workflow for workflows" in shown.output
    assert token.value not in shown.output


async def test_token_that_expires_soon_is_pointed_out(run: Run, host: Host) -> None:
    token = host.world.add_token("erin", {"repo"}, lasts=timedelta(days=3, minutes=5))
    await put(run, token.value, "--kind", "github", "--url", host.url)
    assert "soon, in 3 days" in (await run("check", "forge")).output


@pytest.mark.parametrize(
    ("spoil", "reason", "text"),
    [
        (lambda host, token: setattr(token, "revoked", True), "unauthorized", "credential set"),
        (lambda host, token: token.scopes.clear(), "scope_missing", "lacks the scope repo"),
        (
            lambda host, token: host.faults.add("GET .*", html_page(), times=9),
            "not_json",
            "URL and the proxy",
        ),
        (
            lambda host, token: host.faults.add("GET .*", Answer(502), times=9),
            "server_error",
            "works again",
        ),
    ],
)
async def test_credential_that_does_not_work_ends_with_reason_and_remedy(
    run: Run, host: Host, spoil: Callable[..., None], reason: str, text: str
) -> None:
    token = host.world.add_token("erin", {"repo"})
    await put(run, token.value, "--kind", "github", "--url", host.url)
    spoil(host, token)
    status, said = await checked(run)
    assert (status, said["works"], said["reason"]) == (1, False, reason)
    assert said["remedy"]
    shown = await run("check", "forge")
    assert shown.exit_code == 1
    assert "✗ forge" in shown.output
    assert text in shown.output
    assert token.value not in shown.output


async def test_host_that_nobody_answers_at_is_unreachable(run: Run) -> None:
    await put(run, "a-token-of-github", "--kind", "github", "--url", "http://127.0.0.1:1")
    status, said = await checked(run)
    assert (status, said["reason"]) == (1, "unreachable")


async def test_credential_that_does_not_exist_is_named(run: Run) -> None:
    with pytest.raises(ClientError, match="no credential 'forge'"):
        await run("check", "forge")


async def test_plain_secret_can_only_be_decrypted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(run, "a-plain-secret")
    status, said = await checked(run)
    assert (status, said["asked"]) == (0, False)
    assert "without a kind" in (await run("check", "forge")).output
    monkeypatch.setenv("STEPWAY_SECRET_KEYS", new_key("another"))
    with pytest.raises(ClientError, match="'checks'"):
        await run("check", "forge")


Answers = Callable[[BaseHTTPRequestHandler], tuple[int, dict[str, object]]]


@contextmanager
def server(answers: Answers, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve JSON answers on a free port; the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, data = answers(self)
            body = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        if tls:
            served.socket = tls.wrap_socket(served.socket, server_side=True)
        thread = Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def registry(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, object]]:
    """Let the user bot in."""
    pair = b64encode(b"bot:correct horse battery").decode()
    good = request.headers.get("authorization") == f"Basic {pair}"
    return (200, {}) if good else (401, {"message": "no"})


async def test_password_is_tried_at_its_address(run: Run) -> None:
    with server(registry) as url:
        words = ("--kind", "basic", "--account", "bot", "--url", f"{url}/v2")
        await put(run, "correct horse battery\n", *words)
        status, said = await checked(run)
        assert (status, said["account"]) == (0, "bot")
        await put(run, "a wrong password", *words)
        status, said = await checked(run)
        assert (status, said["reason"]) == (1, "unauthorized")
    await put(run, "correct horse battery", "--kind", "basic", "--account", "bot")
    status, said = await checked(run)
    assert (status, said["reason"]) == (1, "invalid")
    assert "--url URL" in str(said["remedy"])


def silent_cluster(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, object]]:
    """Answer as a cluster whose accounts may not ask for their own names."""
    if request.path.split("?")[0] == "/api":
        return 200, {"kind": "APIVersions", "versions": ["v1"]}
    known = request.headers.get("authorization") == f"Bearer {TOKEN}"
    user = "system:serviceaccount:flux:deployer" if known else "system:anonymous"
    message = f'selfsubjectreviews is forbidden: User "{user}" cannot create resource'
    return 403, {"kind": "Status", "apiVersion": "v1", "message": message, "code": 403}


async def test_cluster_need_not_tell_the_account(run: Run, tmp_path: Path) -> None:
    key = ec_key()
    authority = certificate(key, "127.0.0.1")
    (tmp_path / "host.pem").write_text(authority + pem_of(key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "host.pem")
    with server(silent_cluster, tls) as url:
        await put(run, kubeconfig(url, authority, token=TOKEN), "--kind", "kubernetes")
        status, said = await checked(run)
        assert (status, said.get("account")) == (0, ""), said
        await put(run, kubeconfig(url, authority, token="unknown"), "--kind", "kubernetes")
        status, said = await checked(run)
        assert (status, said["reason"]) == (1, "forbidden")


def cluster(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, object]]:
    """Answer who the token is, as a Kubernetes API server."""
    assert request.path.split("?")[0] == "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        status = {"kind": "Status", "apiVersion": "v1", "message": "Unauthorized", "code": 401}
        return 401, status
    user = {"username": "system:serviceaccount:flux:deployer"}
    return 201, {
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {},
        "status": {"userInfo": user},
    }


async def test_cluster_tells_the_account(run: Run, tmp_path: Path) -> None:
    key = ec_key()
    authority = certificate(key, "127.0.0.1")
    (tmp_path / "host.pem").write_text(authority + pem_of(key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "host.pem")
    with server(cluster, tls) as url:
        await put(run, kubeconfig(url, authority, token=TOKEN), "--kind", "kubernetes")
        status, said = await checked(run)
        assert (status, said.get("account")) == (0, "system:serviceaccount:flux:deployer"), said
        assert said["url"] == url
        await put(run, kubeconfig(url, authority, token="another-token"), "--kind", "kubernetes")
        status, said = await checked(run)
        assert (status, said["reason"]) == (1, "unauthorized")
        await put(run, kubeconfig(url, token=TOKEN), "--kind", "kubernetes")
        status, said = await checked(run)
        assert status == 1
        assert "is not trusted" in str(said["error"])
    await put(run, kubeconfig("https://127.0.0.1:1", token=TOKEN), "--kind", "kubernetes")
    status, said = await checked(run)
    assert (status, said["reason"]) == (1, "unreachable")


async def test_service_account_of_a_pod_works_only_in_one(run: Run) -> None:
    await put(run, "", "--kind", "kubernetes", "--in-cluster")
    status, said = await checked(run)
    assert (status, said["reason"]) == (1, "invalid")
    assert "does not run in a pod" in str(said["error"])


class SshHost(asyncssh.SSHServer):
    """A Git host that lets one key in, and greets as GitHub does."""

    def __init__(self, allowed: asyncssh.SSHKey) -> None:
        self._allowed = allowed

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == "git" and key.public_data == self._allowed.public_data


def greet(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stderr.write("Hi erin! You've successfully authenticated, but that is all.\n")
    process.exit(1)


async def test_ssh_key_is_tried_at_its_host(run: Run, tmp_path: Path) -> None:
    key, host_key = ssh_key(), asyncssh.generate_private_key("ssh-ed25519")
    served = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        server_factory=lambda: SshHost(asyncssh.import_private_key(key)),
        process_factory=greet,
    )
    async with served:
        port = served.get_port()
        place = f"[127.0.0.1]:{port} {host_key.export_public_key().decode()}"
        (tmp_path / "known_hosts").write_text(place)
        words = ("--kind", "ssh", "--url", f"ssh://git@127.0.0.1:{port}", "--known-hosts")
        await put(run, key, *words, str(tmp_path / "known_hosts"))
        status, said = await checked(run)
        assert (status, said["account"]) == (0, "erin"), said
        await put(run, ssh_key(), *words, str(tmp_path / "known_hosts"))
        status, said = await checked(run)
        assert (status, said["reason"]) == (1, "unauthorized")
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        (tmp_path / "other").write_text(f"[127.0.0.1]:{port} {other}")
        await put(run, key, *words, str(tmp_path / "other"))
        status, said = await checked(run)
        assert (status, said["reason"]) == (1, "certificate")
    status, said = await checked(run)
    assert (status, said["reason"]) == (1, "unreachable")
