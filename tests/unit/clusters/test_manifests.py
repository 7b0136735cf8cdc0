"""A manifest that describes no object is refused before anything is sent."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from stepway.clusters import manifests
from stepway.clusters.errors import ClusterError
from stepway.clusters.manifests import check_manifest, ref_of


def config_map(**metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        (config_map(name="../secrets/x"), "`metadata.name` of a manifest is not valid"),
        (config_map(name=".."), "`metadata.name`"),
        (config_map(name="a?dryRun=All"), "`metadata.name`"),
        (config_map(name="a%2f"), "`metadata.name`"),
        (config_map(name="a\nb"), "`metadata.name`"),
        (config_map(name="a" * 300), "`metadata.name`"),
        (config_map(name=5), "`metadata.name`"),
        (config_map(namespace="../../namespaces/default"), "`metadata.namespace`"),
        (config_map(namespace=["x"]), "`metadata.namespace`"),
        (config_map(uid={"a": 1}), "`metadata.uid`"),
        ({**config_map(), "apiVersion": "v1/../../api/v1"}, "`apiVersion`"),
        ({**config_map(), "kind": "Config/Map"}, "`kind`"),
        ({**config_map(), "metadata": ["name"]}, "`metadata` of a manifest is not an object"),
        (config_map(labels=["a"]), "`metadata.labels` of ConfigMap a must have texts"),
        (config_map(labels={"a": 1}), "`metadata.labels`"),
        (config_map(annotations={"a": None}), "`metadata.annotations`"),
        ({**config_map(), "data": {"day": date(2026, 1, 1)}}, "not JSON, such as a date"),
        ({**config_map(), "data": {"a": float("nan")}}, "not JSON"),
        ({**config_map(), "kind": "List", "items": []}, "is a list of objects"),
    ],
)
def test_a_manifest_is_refused_with_the_reason(manifest: dict[str, Any], expected: str) -> None:
    with pytest.raises(ClusterError) as caught:
        check_manifest(manifest)
    assert expected in caught.value.message
    assert caught.value.remedy and not caught.value.later


@pytest.mark.parametrize("name", ["a", "system:controller:x", "shop.acme.example", "a_B"])
def test_names_of_all_kinds_are_taken(name: str) -> None:
    body = config_map(name=name, labels={"a": "b"}, namespace="acme-shop")
    check_manifest(body)
    assert ref_of(body).name == name


def test_aliases_that_grow_without_end_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "LARGEST", 1 << 16)
    level: list[Any] = ["x"] * 9
    for _ in range(8):
        level = [level] * 9
    with pytest.raises(ClusterError, match="has more than"):
        check_manifest({**config_map(), "data": level})


def test_a_manifest_that_contains_itself_is_refused() -> None:
    body = config_map()
    body["data"] = body
    with pytest.raises(ClusterError, match="not JSON"):
        check_manifest(body)
