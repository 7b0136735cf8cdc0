"""Settings of the client commands: the API's address and a token."""

from __future__ import annotations

from pydantic import Field, field_validator

from stepway.runtime.setting_types import RoleSettings, with_scheme


class ClientSettings(RoleSettings):
    """The API's address and token."""

    api_url: str = Field(default="http://127.0.0.1:8000", description="URL of the API.")
    api_token: str = Field(
        default="", repr=False, description="Token for the API, if it requires sign-in."
    )

    @field_validator("api_url")
    @classmethod
    def _http_api(cls, value: str) -> str:
        return with_scheme(value, "http://", "https://").rstrip("/")
