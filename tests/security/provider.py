"""An OpenID provider for tests: discovery, keys and signed JWTs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

AUDIENCE = "stepway"


@dataclass
class Provider:
    """Signs with its newest key; `asked` counts the requests for the keys."""

    issuer: str = "https://login.example"
    keys: dict[str, Any] = field(default_factory=dict)
    asked: int = 0

    def rotate(self, key_id: str) -> None:
        """Sign with a new key from now on; the previous one stays published."""
        self.keys = {key_id: generate_private_key(SECP256R1()), **self.keys}

    def token(self, key_id: str | None = None, **claims: Any) -> str:
        """Return a JWT, valid for five minutes; `claims` override the defaults."""
        now = int(time.time())
        usual = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "erin",
            "iat": now,
            "exp": now + 300,
        }
        key_id = key_id or next(iter(self.keys))
        given = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(given, self.keys[key_id], "ES256", {"kid": key_id})

    def answer(self, path: str) -> dict[str, Any] | None:
        """Return the response for a path."""
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        if path != "/keys":
            return None
        self.asked += 1
        return {
            "keys": [
                ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
                | {"kid": key_id, "use": "sig", "alg": "ES256"}
                for key_id, key in self.keys.items()
            ]
        }


@contextmanager
def serving_provider() -> Iterator[Provider]:
    """A provider on a free port of this machine."""
    provider = Provider()
    provider.rotate("first")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.answer(self.path)
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def log_message(self, *_: Any) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield provider
        server.shutdown()
        thread.join()
