"""Steps that leak a secret; the worker loads them with STEPWAY_STEP_MODULES."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import AnyUrl, BaseModel, Field, SecretStr
from temporalio import activity

from stepway.activities.project import ProjectRef
from stepway.activities.registry import Resources
from stepway_tracking.record.errors import step_error
from stepway_tracking.record.progress import Progress, SubStep


@dataclass(frozen=True)
class CarelessInput:
    """The credential to leak."""

    project: ProjectRef
    credential: str


@dataclass(frozen=True)
class CarelessResult:
    """A result that contains the secret, which it should not."""

    url: str


class CarelessModel(BaseModel):
    """The same as CarelessResult, of a kind that is no dataclass."""

    url: str
    seen: list[str]


@dataclass(frozen=True)
class ReceiveInput:
    """The result of another step, and the SHA-256 of the expected one."""

    project: ProjectRef
    value: str
    sha256: str


class TypedInput(BaseModel):
    """The same of typed fields, whose values are the secret and a URL with it."""

    project: dict[str, Any]
    token: SecretStr
    url: AnyUrl
    short: str = Field(max_length=100)
    sha256: list[str]


class NarrowInput(BaseModel):
    """An input that the secret does not fit."""

    project: dict[str, Any]
    short: str = Field(max_length=5)


class CarelessSteps:
    """The steps; they leak a secret through every channel."""

    def __init__(self, resources: Resources) -> None:
        self._credentials = resources.credentials

    @activity.defn
    async def blurt(self, given: CarelessInput) -> CarelessResult:
        """Complete, with the secret in progress, parts, log and result."""
        secret = (await self._credentials.open(given.credential, given.project)).value
        logging.getLogger("tests.careless").error("using %s", secret)
        activity.heartbeat(Progress(10, f"with {secret}", SubStep("part", f"Part {secret}", 10)))
        return CarelessResult(f"https://bot:{secret}@git.example/x")

    @activity.defn
    async def blurt_model(self, given: CarelessInput) -> CarelessModel:
        """Complete with the secret in a Pydantic model, which the attempt before has kept."""
        if activity.info().attempt == 1:
            secret = (await self._credentials.open(given.credential, given.project)).value
            activity.heartbeat({"so far": secret})
            raise RuntimeError(f"once more: {secret}")
        (kept,) = activity.info().heartbeat_details
        return CarelessModel(url=kept["so far"], seen=[f"ends with {kept['so far']}"])

    @activity.defn
    async def receive(self, given: ReceiveInput) -> None:
        """Fail unless the value arrived as it was sent."""
        if sha256(given.value.encode()).hexdigest() != given.sha256:
            raise step_error("The value has changed on its way.", retry=False)

    @activity.defn
    async def receive_typed(self, given: TypedInput) -> None:
        """Fail unless the values arrived as they were sent."""
        arrived = [given.token.get_secret_value(), str(given.url), given.short]
        if [sha256(each.encode()).hexdigest() for each in arrived] != given.sha256:
            raise step_error("A value has changed on its way.", retry=False)

    @activity.defn
    async def receive_narrow(self, given: NarrowInput) -> None:
        """Take a short text only."""

    @activity.defn
    async def choke(self, given: CarelessInput) -> CarelessResult:
        """Fail without retries, with the secret in the error, its cause and its stack."""
        secret = (await self._credentials.open(given.credential, given.project)).value
        try:
            raise ValueError(f"refused {secret}")
        except ValueError as error:
            raise RuntimeError(f"cannot push with {secret}") from error


def step_activities(resources: Resources) -> Sequence[Callable[..., Any]]:
    """Return all of them."""
    careless = CarelessSteps(resources)
    return (
        careless.blurt,
        careless.blurt_model,
        careless.receive,
        careless.receive_typed,
        careless.receive_narrow,
        careless.choke,
    )
