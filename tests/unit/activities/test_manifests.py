"""The manifests of a project."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from stepway.activities.gitops.manifests import cluster_url, namespace_name, owner_of
from stepway.activities.project import ProjectRef

ID = "0d9f7c52-95e1-4d0a-8f4a-0d6f6a3f9f10"


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("local", "local-shop"),
        ("ada@example.org", "ada-example-org-shop-0d9f7c52"),
        ("Ada", "ada-shop-0d9f7c52"),
    ],
)
def test_a_namespace_is_a_dns_label_of_owner_and_project(owner, expected):
    assert namespace_name(ProjectRef(ID, "shop", owner)) == expected


def test_a_long_namespace_is_cut_and_stays_distinct():
    name = namespace_name(ProjectRef(ID, "s" * 40, "o" * 80))
    assert len(name) <= 63
    assert name.endswith("-0d9f7c52")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/srv/a shop.git", "ssh://git@git.local/srv/a%20shop.git"),
        ("https://git.example.org/shop.git", "https://git.example.org/shop.git"),
        ("git@git.example.org:acme/shop.git", "ssh://git@git.example.org/acme/shop.git"),
        ("ssh://git@git.example.org:2222/a/b.git", "ssh://git@git.example.org:2222/a/b.git"),
        ("git@[2001:db8::1]:acme/shop.git", "ssh://git@[2001:db8::1]/acme/shop.git"),
    ],
)
def test_a_plain_path_is_reached_by_ssh_and_a_url_stays(url, expected):
    assert cluster_url(url, "git.local") == expected


@pytest.mark.parametrize("url", ["", "git://git.example.org/a.git", "file:///srv/a.git", "a/b"])
def test_what_flux_cannot_read_is_refused(url):
    with pytest.raises(ApplicationError, match="Flux cannot read the repository") as caught:
        cluster_url(url, "git.local")
    assert caught.value.non_retryable


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"a: [", b"metadata: 1", b"metadata: {labels: [1]}", b"\xff"]
)
def test_a_manifest_without_a_project_has_no_owner(text):
    assert owner_of(text) is None


def test_a_manifest_is_of_the_project_in_its_label():
    assert owner_of(f"metadata: {{labels: {{stepway/project: {ID}}}}}".encode()) == ID
