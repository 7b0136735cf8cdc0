"""Passes secrets from one step to the next as references.

A step's result may contain a secret that its worker has resolved. Temporal's history and the kept
result then contain a sealed reference instead: the name of the credential, the spelling of the
secret in that place, and the part of it. Attempts of the same project resolve the reference with
the vault. A text that only looks like a secret is passed on unchanged.

A token that a step made with a credential, such as an installation token of a GitHub App, is not in
the vault and expires, so it is not passed on: "[redacted]" takes its place. The next step opens the
credential itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from temporalio.api.common.v1 import Payload

from stepway.vault.errors import CredentialRefused, KeyMissing, Undecipherable
from stepway.vault.keyring import Keyring
from stepway.vault.known import Piece, SecretName, spellings
from stepway.vault.parts import part_named, parts_of
from stepway.vault.redaction import PROCESS, REDACTED
from stepway.vault.sealing import SEAL, Seals
from stepway.vault.values import Change, map_json_texts
from stepway.vault.vault import Secret
from stepway_tracking.record.errors import step_error

Find = Callable[[str, str], Awaitable[Secret | None]]
"""Finds a secret by owner and name, as Vault.find does."""


class References:
    """Replaces known secrets with references, and references with secrets."""

    def __init__(self, keyring: Keyring | None, find: Find) -> None:
        self._seals = Seals(keyring)
        self._find = find

    def put_into(self, project_id: str, payload: Payload) -> Payload:
        """Replace known secrets with references; return the same payload if there are none."""
        context = _context(project_id)

        def reference(piece: Piece) -> str:
            name = PROCESS.known.name_of(piece.secret)
            if name is None:
                return _as_it_stands(piece)
            if name.made:
                return REDACTED
            return self._seals.seal(json.dumps(_said(name, piece)), context)

        return _map_payload(payload, lambda text: PROCESS.known.replaced(text, reference))

    async def resolve(self, project_id: str, payload: Payload) -> Payload:
        """Replace references with secrets; return the same payload if there are none.

        Raises step_error if a secret is unavailable.
        """
        context = _context(project_id)
        found: dict[str, str] = {}

        def collect(text: str) -> str:
            for seal in SEAL.finditer(text):
                if said := self._opened(seal, context):
                    found[seal[0]] = said
            return text

        _map_payload(payload, collect)
        secrets = {seal: await self._secret(json.loads(said)) for seal, said in found.items()}
        if not secrets:
            return payload

        def resolved(text: str) -> str:
            return SEAL.sub(lambda seal: secrets.get(seal[0], seal[0]), text)

        return _map_payload(payload, resolved)

    def _opened(self, seal: re.Match[str], context: str) -> str | None:
        """Return the content of a reference; None if it is not one of this project."""
        if not seal[1]:
            return None
        try:
            return self._seals.open(seal, context)
        except Undecipherable:
            return None
        except KeyMissing as error:
            raise _lost(str(error)) from error

    async def _secret(self, said: dict[str, Any]) -> str:
        name = SecretName(said["owner"], said["name"])
        try:
            secret = await self._find(name.owner, name.name)
        except (KeyMissing, Undecipherable, CredentialRefused) as error:
            raise _lost(str(error)) from error
        if secret is None:
            raise _lost(f"The credential {name.name!r} no longer exists.")
        learn_credential(name, secret)
        part, _, spelling = said["spelling"].rpartition("/")
        text = part_named(part, secret.target.kind, secret.account, secret.value)
        spelt = None if text is None else dict(spellings(text)).get(spelling)
        if spelt is None:
            raise _lost(f"The credential {name.name!r} has a new value of another form.")
        return spelt[said["start"] : said["stop"]]


def learn_credential(name: SecretName, secret: Secret) -> None:
    """Hide the secret and its parts from people from now on."""
    for part in parts_of(secret.target.kind, secret.account, secret.value):
        PROCESS.learn(
            part.text, replace(name, part=part.name, made=part.made), document=part.document
        )


def _said(name: SecretName, piece: Piece) -> dict[str, Any]:
    # A version that knows no parts finds no spelling with a slash, and says so.
    spelling = f"{name.part}/{piece.spelling}" if name.part else piece.spelling
    where = {"start": piece.start, "stop": piece.stop}
    return {"owner": name.owner, "name": name.name, "spelling": spelling, **where}


def _map_payload(payload: Payload, change: Change) -> Payload:
    """Change the texts in a payload of JSON, or all of another one."""
    before = payload.data.decode(errors="surrogateescape")
    is_json = payload.metadata.get("encoding", b"").startswith(b"json/")
    after = map_json_texts(before, change) if is_json else change(before)
    if after == before:
        return payload
    return Payload(metadata=payload.metadata, data=after.encode(errors="surrogateescape"))


def _as_it_stands(piece: Piece) -> str:
    return dict(spellings(piece.secret))[piece.spelling][piece.start : piece.stop]


def _lost(reason: str) -> Exception:
    return step_error(
        f"A secret from an earlier step cannot be resolved. {reason}",
        remedy="Ask an operator to restore the credential or its key, then retry.",
    )


def _context(project_id: str) -> str:
    return f"reference\n{project_id}"
