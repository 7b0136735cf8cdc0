"""All settings, read from the environment and `.env`."""

from __future__ import annotations

import os

from dotenv import dotenv_values
from pydantic import ValidationError

from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.client_settings import ClientSettings
from stepway.runtime.setting_types import ENV_FILE, PREFIX, SettingsError


class Settings(ApiSettings, ClientSettings):
    """The settings of all roles, for a process that may run any of them."""


def load_settings() -> Settings:
    """Read the settings. Raises SettingsError for an unknown or malformed `STEPWAY_` variable."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}
    for name in sorted(given - known):
        if name.startswith(PREFIX):
            raise SettingsError(f"{name}: unknown setting")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{PREFIX}{str(first['loc'][0]).upper()}: {reason}") from None
