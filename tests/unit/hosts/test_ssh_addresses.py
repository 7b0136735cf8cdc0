"""No part of an SSH address, whoever gives it, reaches ssh or git as an option."""

from __future__ import annotations

import pytest
from dulwich.client import StrangeHostname

from stepway.activities.git.ssh import Ssh
from stepway.hosts.errors import HostError, Reason
from stepway.hosts.paths import ssh_url


@pytest.mark.parametrize(
    "address",
    [
        "-oProxyCommand=x@h:a",
        "git@-V:a",
        "-V:a",
        "ssh://-V@h/a",
        "ssh://git@h/-a",
        "ssh://git@h/a%00",
        "git@h:-a",
        "git@h:a\nb",
    ],
)
def test_an_ssh_address_of_a_host_is_no_option_of_ssh(address: str) -> None:
    with pytest.raises(HostError) as caught:
        ssh_url(address)
    assert caught.value.reason == Reason.INVALID and caught.value.remedy


def test_usual_ssh_addresses_are_taken() -> None:
    usual = ["ssh://git@h:2222/a-b/-", "ssh://git@[::1]:22/a", "ssh://h/~me/x", "https://h/-a"]
    assert [ssh_url(address) for address in usual] == usual
    assert ssh_url("git@h:a/b-c.git") == "ssh://git@h/a/b-c.git"


@pytest.mark.parametrize(("user", "host"), [("-oProxyCommand=x", "h"), (None, "-V"), ("git", "-V")])
def test_ssh_is_not_started_for_an_option(user: str | None, host: str) -> None:
    ssh = Ssh(["/nowhere/ssh"], None, own_group=False)  # type: ignore[arg-type]
    with pytest.raises(StrangeHostname):
        ssh.run_command(host, b"git-upload-pack '/a'", username=user)
