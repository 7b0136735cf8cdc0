"""A real Kubernetes API server for the session, with Flux's definitions where there are some."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest

from stepway.activities.cluster.access import OpenCluster, cluster_errors
from stepway.activities.project import ProjectRef
from stepway.clusters.cluster import Cluster, open_cluster
from tests.support.githost.shapes import test_data
from tests.support.kubernetes.server import KubernetesServer, install_flux, running_server


@pytest.fixture(scope="session")
def kubernetes() -> Iterator[KubernetesServer]:
    with TemporaryDirectory(prefix="stepway-") as folder, running_server(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def flux(kubernetes: KubernetesServer) -> KubernetesServer:
    """The server, once it knows Flux's kinds."""
    data = test_data()
    if data is None:
        pytest.skip("Flux's resource definitions are not on this machine")
    install_flux(kubernetes, data / "flux")
    return kubernetes


@pytest.fixture
def opened(kubernetes: KubernetesServer) -> OpenCluster:
    """Opens the server for a step, whatever the credential; `narrow` has no rights."""

    @asynccontextmanager
    async def opening(credential: str, project: ProjectRef) -> AsyncIterator[Cluster]:
        token = kubernetes.narrow_token if credential == "narrow" else None
        with cluster_errors():
            async with open_cluster(kubernetes.kubeconfig(token)) as cluster:
                yield cluster

    return opening


@pytest.fixture
def project() -> ProjectRef:
    identifier = str(uuid4())
    return ProjectRef(identifier, f"shop-{identifier[:8]}", "acme")
