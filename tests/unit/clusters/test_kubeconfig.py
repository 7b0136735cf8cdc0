"""The configuration of a client for a cluster."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from stepway.clusters.errors import ClusterError
from stepway.clusters.kubeconfig import configuration

CONFIG: dict[str, Any] = {
    "current-context": "main",
    "contexts": [{"name": "main", "context": {"cluster": "east", "user": "stepway"}}],
    "clusters": [{"name": "east", "cluster": {"server": "https://10.0.0.1:6443"}}],
    "users": [{"name": "stepway", "user": {"token": "hunter2-token"}}],
}


def test_the_current_context_is_read() -> None:
    found = configuration(yaml.safe_dump(CONFIG))
    assert found.cluster.server == "https://10.0.0.1:6443"
    assert found.user is not None
    assert found.user.token == "hunter2-token"


@pytest.mark.parametrize(
    "given",
    [
        "hunter2: [",
        "hunter2",
        yaml.safe_dump({**CONFIG, "current-context": "hunter2"}),
        yaml.safe_dump({**CONFIG, "users": []}),
    ],
)
def test_an_error_shows_nothing_of_the_secret(given: str) -> None:
    with pytest.raises(ClusterError) as caught:
        configuration(given)
    assert caught.value.message.startswith("The kubeconfig cannot be used: ")
    assert "hunter2" not in caught.value.message
    assert not caught.value.later
    assert caught.value.remedy


def test_outside_a_pod_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match="does not run in a pod"):
        configuration(None)
