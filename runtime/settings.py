"""All settings, read from the environment and `.env`."""

from __future__ import annotations

import os
from difflib import get_close_matches

from dotenv import dotenv_values
from pydantic import ValidationError

from stepway.runtime.api_settings import ApiSettings
from stepway.runtime.client_settings import ClientSettings
from stepway.runtime.setting_types import ENV_FILE, PREFIX, SettingsError
from stepway_tracking.validation import sentence

OF_TESTS = (f"{PREFIX}TEST", f"{PREFIX}LIVE_")
"""Beginnings of the variables that the project's tests read; a shell may have exported them."""

_SIMILAR = 0.8  # all names begin with STEPWAY_


class Settings(ApiSettings, ClientSettings):
    """The settings of all roles, for a process that may run any of them."""


def load_settings() -> Settings:
    """Read the settings. Raises SettingsError for an unknown or malformed `STEPWAY_` variable."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}
    for name in sorted(given - known):
        if name.startswith(PREFIX) and not name.startswith(OF_TESTS):
            raise SettingsError(f"{name}: unknown setting{_similar(name, known)}")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper()
        raise SettingsError(f"{name}: {sentence(first)}") from None


def _similar(name: str, known: set[str]) -> str:
    found = get_close_matches(name, sorted(known), n=1, cutoff=_SIMILAR)
    return f"; did you mean {found[0]}?" if found else ""


def check_token_source(settings: Settings) -> None:
    """Raise SettingsError unless the API's address and the token come from one source.

    Another person may have written the `.env` of the current folder. So an address from there gets
    no token from the environment, and its text contains no values of the environment.
    """
    address, token = f"{PREFIX}API_URL", f"{PREFIX}API_TOKEN"
    file = {
        name.upper(): value
        for name, value in dotenv_values(ENV_FILE, interpolate=False).items()
        if value
    }
    own = {name.upper() for name, value in os.environ.items() if value}
    if address in own or address not in file:
        return
    if "${" in file[address]:
        raise SettingsError(f"{address}: the one in {ENV_FILE} must not refer to other variables")
    if settings.api_token and token in own:
        raise SettingsError(
            f"{address} is from {ENV_FILE} and {token} from the environment, so the token could "
            f"go to a foreign server: set {address} in the environment too, or both in {ENV_FILE}"
        )
    if "${" in file.get(token, ""):
        raise SettingsError(f"{token}: the one in {ENV_FILE} must not refer to other variables")
