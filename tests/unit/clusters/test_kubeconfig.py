"""A kubeconfig must be whole: no files, no commands, one context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from stepway.clusters.errors import ClusterError
from stepway.clusters.kubeconfig import IN_CLUSTER, read_kubeconfig, secrets_in


def kubeconfig(user: dict[str, Any] | None = None, **cluster: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "east", "user": "stepway"}}],
        "clusters": [{"name": "east", "cluster": {"server": "https://10.0.0.1:6443", **cluster}}],
        "users": [{"name": "stepway", "user": user or {"token": "hunter2-token"}}],
    }


def test_the_current_context_is_read() -> None:
    config = read_kubeconfig(yaml.safe_dump(kubeconfig()))
    assert config.cluster.server == "https://10.0.0.1:6443"
    assert config.user is not None
    assert config.user.token == "hunter2-token"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a: [", "is not YAML (line"),
        ("just text", "has no `clusters` and `contexts`"),
        ({**kubeconfig(), "current-context": "other"}, "cannot be used: Context 'other' not found"),
        ({**kubeconfig(), "users": []}, "cannot be used: KeyError 'stepway'"),
        (
            kubeconfig(**{"certificate-authority": "/etc/ca.pem"}),
            "refers to the file /etc/ca.pem (certificate-authority)",
        ),
        (kubeconfig({"client-key": "/root/key"}), "refers to the file /root/key (client-key)"),
        (kubeconfig({"tokenFile": "/root/token"}), "refers to the file /root/token (tokenFile)"),
        (
            kubeconfig({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "x"}}),
            "runs a command to sign in (user stepway)",
        ),
        (kubeconfig({"auth-provider": {"name": "gcp"}}), "runs a command to sign in"),
    ],
)
def test_others_are_refused_with_the_reason(given: Any, expected: str) -> None:
    text = given if isinstance(given, str) else yaml.safe_dump(given)
    with pytest.raises(ClusterError) as caught:
        read_kubeconfig(text)
    assert caught.value.message.startswith(f"The kubeconfig {expected}")
    assert not caught.value.later
    assert caught.value.remedy


def test_outside_a_pod_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterError, match="does not run in a pod"):
        read_kubeconfig(f"{IN_CLUSTER}\n")


def test_tokens_passwords_and_keys_are_found() -> None:
    users = [
        {"name": "a", "user": {"token": "t-1"}},
        {"name": "b", "user": {"username": "bob", "password": "p-1", "client-key-data": "a2V5"}},
        "nonsense",
    ]
    assert secrets_in(yaml.safe_dump({"users": users})) == ["t-1", "p-1", "a2V5"]
    assert secrets_in(IN_CLUSTER) == []
    assert secrets_in("a: [") == []
