"""Settings of the API: sign-in, access rules, origins and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from stepway.runtime.setting_types import LOOPBACK, Words, split_words, with_scheme
from stepway.runtime.worker_settings import WorkerSettings

SCOPES = ("read", "create", "control", "admin")


class ApiSettings(WorkerSettings):
    """Who may sign in and how, who may do what, and how much."""

    sign_in: Annotated[list[Literal["tokens", "oidc"]], NoDecode] = Field(default_factory=list)
    oidc_issuer: str = Field(default="", validate_default=True)
    oidc_audience: str = Field(default="", validate_default=True)
    oidc_owner_claim: str = "sub"
    oidc_groups_claim: str = "groups"
    oidc_scopes: Words = Field(default_factory=lambda: ["read", "create", "control"])
    readers: Words = Field(default_factory=lambda: ["owner"])
    controllers: Words = Field(default_factory=lambda: ["owner"])
    admins: Words = Field(default_factory=list)
    cors_origins: Words = Field(default_factory=list)
    starts_per_minute: int = Field(default=60, ge=1)
    unfinished_per_owner: int = Field(default=200, ge=1)
    streams_per_owner: int = Field(default=500, ge=1)

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
        if unknown := sorted(set(value) - set(SCOPES)):
            raise ValueError(f"{unknown[0]} is not a scope; available: {', '.join(SCOPES)}")
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
