"""A real Kubernetes API server, with Flux's resource definitions and a player of Flux.

Nothing reconciles there: `Flux` sets the conditions that the test asks for. A deleted namespace
stays `Terminating`, because no controller removes it.
"""

from __future__ import annotations

import base64
import os
import random
import secrets
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from stepway.embedded.ports import RANGE, is_free
from tests.support.kubernetes.clients import ClientAuthority

WANTED = "STEPWAY_TEST_KUBERNETES"
_BUILD = Path(__file__).with_name("build")
_START_LIMIT = 120.0


def programs() -> Path:
    """The folder with kube-apiserver and etcd; built at the first use.

    Skips unless wanted; fails with the last lines of the build if that fails.
    """
    if not os.environ.get(WANTED):
        pytest.skip(f"{WANTED} is not set: the API server takes six minutes to build once")
    built = subprocess.run([str(_BUILD)], capture_output=True, text=True)
    if built.returncode:
        pytest.fail(built.stderr[-3000:], pytrace=False)
    return Path(built.stdout.strip())


@dataclass
class KubernetesServer:
    """`token` is one of an administrator; the account of `narrow_token` has no rights."""

    url: str
    authority: str
    token: str
    narrow_token: str
    http: httpx.Client = field(repr=False)
    clients: ClientAuthority = field(repr=False)

    def kubeconfig(
        self, token: str | None = None, user: dict[str, str] | None = None, **cluster: Any
    ) -> str:
        """A kubeconfig with its certificates inside; `user` is another way to sign in."""
        data = base64.b64encode(self.authority.encode()).decode()
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "clusters": [
                    {
                        "name": "test",
                        "cluster": {
                            "server": self.url,
                            "certificate-authority-data": data,
                            **cluster,
                        },
                    }
                ],
                "users": [{"name": "test", "user": user or {"token": token or self.token}}],
            }
        )

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object as the administrator."""
        answer = self.http.post(path, json=body)
        assert answer.is_success, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def set_status(self, path: str, status: dict[str, Any]) -> None:
        """Set the status of an object, as its controller does."""
        answer = self.http.patch(
            f"{path}/status",
            json={"status": status},
            headers={"Content-Type": "application/merge-patch+json"},
        )
        assert answer.is_success, answer.text


@contextmanager
def running_server(folder: Path) -> Iterator[KubernetesServer]:
    """Run etcd and kube-apiserver on free ports."""
    found = programs()
    free = (port for port in random.sample(RANGE, k=200) if is_free(port))
    etcd_port, peer_port, port = next(free), next(free), next(free)
    token, narrow = secrets.token_hex(16), secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,1,"system:masters"\n{narrow},narrow,2\n')
    clients = ClientAuthority()
    (folder / "clients.crt").write_text(clients.certificate)
    key = folder / "accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    etcd = f"http://127.0.0.1:{etcd_port}"
    peer = f"http://127.0.0.1:{peer_port}"
    commands = [
        [
            str(found / "etcd"),
            f"--data-dir={folder}/etcd",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ],
        [
            str(found / "kube-apiserver"),
            f"--etcd-servers={etcd}",
            f"--secure-port={port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={folder}/certificates",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--token-auth-file={folder}/tokens.csv",
            f"--client-ca-file={folder}/clients.crt",
            "--authorization-mode=RBAC",
            "--insecure-port=0",
            "--disable-admission-plugins=ServiceAccount",
        ],
    ]
    running = []
    try:
        for number, command in enumerate(commands):
            log = (folder / f"{number}.log").open("wb")
            running.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=folder))
            log.close()
        certificate = folder / "certificates" / "apiserver.crt"
        url = f"https://127.0.0.1:{port}"
        with _when_ready(url, certificate, token, folder) as http:
            yield KubernetesServer(url, certificate.read_text(), token, narrow, http, clients)
    finally:
        for process in reversed(running):
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _when_ready(url: str, certificate: Path, token: str, folder: Path) -> Iterator[httpx.Client]:
    end = time.monotonic() + _START_LIMIT
    while True:
        if certificate.exists():
            trusted = ssl.create_default_context(cafile=str(certificate))
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, verify=trusted, headers=headers, timeout=20) as http:
                try:
                    if http.get("/readyz").status_code == 200 and _has_default(http):
                        yield http
                        return
                except httpx.TransportError:
                    pass
        assert time.monotonic() < end, (folder / "1.log").read_text()[-2000:]
        time.sleep(0.2)


def _has_default(http: httpx.Client) -> bool:
    return http.get("/api/v1/namespaces/default").status_code == 200


def install_flux(server: KubernetesServer, definitions: Path) -> None:
    """Create Flux's resource definitions and wait until the server knows them."""
    names = []
    for file in sorted(definitions.glob("*.yaml")):
        for body in yaml.safe_load_all(file.read_text()):
            server.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
            names.append((body["spec"]["group"], body["spec"]["versions"]))
    end = time.monotonic() + 60
    for group, versions in names:
        served = next(v["name"] for v in versions if v["served"])
        while not server.http.get(f"/apis/{group}/{served}").is_success:
            assert time.monotonic() < end, f"{group} is not served"
            time.sleep(0.1)
