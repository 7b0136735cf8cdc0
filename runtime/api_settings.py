"""Settings of the API: sign-in, access rules, origins and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from stepway.runtime.scopes import Scope
from stepway.runtime.setting_types import LOOPBACK, Words, split_words, with_scheme
from stepway.runtime.worker_settings import WorkerSettings


class ApiSettings(WorkerSettings):
    """Sign-in, permissions, origins and limits of the API."""

    sign_in: Annotated[list[Literal["tokens", "oidc"]], NoDecode] = Field(
        default_factory=list,
        description="How people sign in: `none`, `tokens`, `oidc` or `tokens,oidc`.",
    )
    oidc_issuer: str = Field(
        default="",
        validate_default=True,
        description="The OpenID provider's issuer, `https://…`; required with `oidc`.",
    )
    oidc_audience: str = Field(
        default="",
        validate_default=True,
        description="The audience that tokens must have; required with `oidc`.",
    )
    oidc_owner_claim: str = Field(default="sub", description="The claim with the person's name.")
    oidc_groups_claim: str = Field(
        default="groups",
        description="The claim with the person's groups; a group `x` owns projects as `group.x`.",
    )
    oidc_scopes: Words = Field(
        default_factory=lambda: ["read", "create", "control"],
        description="Scopes of the provider's tokens: `read`, `create`, `control`, `admin`.",
    )
    readers: Words = Field(
        default_factory=lambda: ["owner"],
        description="Readers of a project: `owner`, `everyone`, or names of people and groups.",
    )
    controllers: Words = Field(
        default_factory=lambda: ["owner"],
        description="Controllers of a project, who may also read it; the same names.",
    )
    log_access: Literal["control", "read"] = Field(
        default="control",
        description=(
            "The right that a person needs to see the logs of a project's steps: `control` or "
            "`read`."
        ),
    )
    admins: Words = Field(
        default_factory=list,
        description="Administrators: people and groups of the OpenID provider.",
    )
    cors_origins: Words = Field(
        default_factory=list,
        description="Other origins whose pages may call the API, as `https://portal.example`.",
    )
    starts_per_minute: int = Field(
        default=60, ge=1, description="Initializations that a person may start in a minute."
    )
    unfinished_per_owner: int = Field(
        default=200, ge=1, description="Initializations of one owner that have not ended."
    )
    streams_per_owner: int = Field(
        default=500, ge=1, description="Event streams that a person may hold open."
    )

    @field_validator("sign_in", mode="before")
    @classmethod
    def _ways_to_sign_in(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        ways = split_words(value)
        if ways == ["none"]:
            return []
        if not ways or set(ways) - {"tokens", "oidc"}:
            raise ValueError("must be none, tokens, oidc or tokens,oidc")
        return ways

    @field_validator("oidc_scopes")
    @classmethod
    def _scopes(cls, value: list[str]) -> list[str]:
        if unknown := sorted(set(value) - set(Scope)):
            raise ValueError(f"{unknown[0]} is not a scope; available: {', '.join(Scope)}")
        return value

    @field_validator("oidc_issuer", "oidc_audience")
    @classmethod
    def _needed_by_oidc(cls, value: str, info: ValidationInfo) -> str:
        if not value and "oidc" in info.data.get("sign_in", []):
            raise ValueError("must be set if STEPWAY_SIGN_IN includes oidc")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _secure_issuer(cls, value: str) -> str:
        if urlsplit(value).scheme == "http" and urlsplit(value).hostname not in LOOPBACK:
            raise ValueError("must start with https://")
        return with_scheme(value, "http://", "https://")

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: list[str]) -> list[str]:
        for each in value:
            parts = urlsplit(each)
            if f"{parts.scheme}://{parts.netloc}" != each or parts.scheme not in ("http", "https"):
                raise ValueError(f"{each} must be an origin, for example https://portal.example")
        return value
