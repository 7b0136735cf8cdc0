"""Secrets do not belong into parameters, which are kept and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from api.errors import InputInvalid
from api.resources import AppResources


async def refuse_secrets(given: AppResources, owner: str, parameters: Mapping[str, Any]) -> None:
    """Raise InputInvalid for a parameter that holds the value of one of the owner's credentials."""
    for name, value in parameters.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if found := await given.vault.found_in(owner, text):
            detail = (
                f"It holds the secret of the credential {found}: give the name {found} instead."
            )
            wrong = {"name": name, "pointer": f"/parameters/{name}", "detail": detail}
            raise InputInvalid(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {detail}", [wrong])
