"""The error of a repository's name that is in use: whose it is, and what a person can do. Pure."""

from __future__ import annotations

from stepway.hosts.errors import HostError, Reason

_ANOTHER_NAME = "or cancel this project and create it under another name"


def name_taken(
    path: str, project: str | None, address: str = "", *, status: int | None = None
) -> HostError:
    """Return the error for the repository `OWNER/NAME` that another has.

    `project` is the ID of the Stepway project that created it; None if Stepway did not. `address`
    is where people look at it.
    """
    if project is not None:
        whose = f"belongs to the Stepway project {project}"
        remedy = (
            "Roll that project back, or rename or delete the repository on the host, then retry; "
            f"{_ANOTHER_NAME}."
        )
    else:
        whose = "was not created by Stepway"
        remedy = (
            f"Rename or delete it on the host, then retry; {_ANOTHER_NAME}. To bring that "
            "repository under Stepway, use the blueprint existing-repository."
        )
    where = f": {address}" if address else ""
    return HostError(
        Reason.NAME_TAKEN,
        f"The repository {path} exists already, and it {whose}{where}",
        remedy=remedy,
        status=status,
    )


def hidden_name(path: str, credential: str, *, status: int | None = None) -> HostError:
    """Return the error for a name that is in use by something that the credential may not see."""
    owner = path.rpartition("/")[0]
    return HostError(
        Reason.NAME_TAKEN,
        f"The name {path} is in use, and the credential {credential} may not see by what",
        remedy=f"Ask an owner of {owner} to rename or delete it, or to let the credential see it, "
        f"then retry; {_ANOTHER_NAME}.",
        status=status,
    )


def deleted_name(path: str, until: str, address: str, *, status: int | None = None) -> HostError:
    """Return the error for a name that a deleted repository keeps until a date."""
    return HostError(
        Reason.NAME_TAKEN,
        f"The name {path} is taken by a deleted repository until {until}: {address}",
        remedy="Delete that repository at once, in its settings under General, Advanced, then "
        f"retry; {_ANOTHER_NAME}.",
        status=status,
    )
