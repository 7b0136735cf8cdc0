"""Which lines of known_hosts are about a host."""

import pytest

from stepway.activities.gitops.known_hosts import lines_for, names

# ssh-keygen -H
HASHED = "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 AAAA"


@pytest.mark.parametrize(
    ("lines", "url", "expected"),
    [
        ("git.example.org ssh-ed25519 AAAA", "ssh://git@git.example.org/a.git", True),
        ("x,git.example.org ssh-ed25519 AAAA", "ssh://git@git.example.org:22/a.git", True),
        ("*.example.org ssh-ed25519 AAAA", "ssh://git@git.example.org/a.git", True),
        ("[git.example.org]:2222 ssh-ed25519 AAAA", "ssh://git@git.example.org:2222/a.git", True),
        ("git.example.org ssh-ed25519 AAAA", "ssh://git@git.example.org:2222/a.git", False),
        ("# git.example.org ssh-ed25519 AAAA", "ssh://git@git.example.org/a.git", False),
        ("gitXexample.org ssh-ed25519 AAAA", "ssh://git@git.example.org/a.git", False),
        (HASHED, "ssh://git@192.168.1.61/a.git", True),
        (HASHED, "ssh://git@192.168.1.62/a.git", False),
        ("|1|broken ssh-ed25519 AAAA", "ssh://git@git.example.org/a.git", False),
        ("", "ssh://git@git.example.org/a.git", False),
    ],
)
def test_a_host_is_named_by_its_name_a_pattern_or_a_hash(lines, url, expected):
    assert names(lines, url) is expected


def test_published_keys_become_lines_with_the_port():
    lines = lines_for("ssh://git@git.example.org:2222/a.git", ["ssh-rsa A", "ssh-ed25519 B"])
    assert lines == "[git.example.org]:2222 ssh-rsa A\n[git.example.org]:2222 ssh-ed25519 B\n"
