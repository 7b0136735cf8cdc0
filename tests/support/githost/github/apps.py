"""GitHub Apps of GitHub's surface."""

from __future__ import annotations

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.support.githost.answers import Answer, Request, route
from tests.support.githost.github.changes import GitHubChanges
from tests.support.githost.state import Json

_STAMP = "%Y-%m-%dT%H:%M:%SZ"


class GitHubApps(GitHubChanges):
    """Apps, and tokens of their installations."""

    token_lasts = timedelta(hours=1)
    """How long a token of an installation is valid."""

    def add_app(self, slug: str, *accounts: str, **permissions: str) -> tuple[str, str]:
        """Add an App that is installed in these accounts; return its ID and its private key."""
        key = rsa.generate_private_key(65537, 2048)
        number = str(self.world.next_id())
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.world.options.setdefault("apps", {})[number] = {
            "key": public,
            "slug": slug,
            "installations": {
                account: {
                    "id": self.world.next_id(),
                    "permissions": {"metadata": "read", **permissions},
                }
                for account in accounts
            },
        }
        private = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        return number, private.decode()

    @route("GET /app")
    def app(self, request: Request) -> Json:
        """Answer which App the assertion is of."""
        assert request.token is not None
        values = {"id": int(request.token.options["app"]), "slug": request.account}
        return self.filled("integration", values)

    @route("GET /orgs/{account}/installation")
    @route("GET /users/{account}/installation")
    def installation(self, request: Request, account: str) -> Json:
        """Answer the App's installation in an account."""
        assert request.token is not None
        app = self.world.options["apps"][request.token.options["app"]]
        found = app["installations"].get(account)
        is_organization = request.path.startswith("/orgs/")
        if found is None or self.world.accounts[account].organization != is_organization:
            raise self.refuse(404, "Not Found")
        values = {
            "id": found["id"],
            "app_id": int(request.token.options["app"]),
            "app_slug": app["slug"],
            "account": self.person(self.world.accounts[account]),
            "permissions": found["permissions"],
            "target_type": "Organization" if is_organization else "User",
        }
        return self.filled("installation", values)

    @route("POST /app/installations/{number}/access_tokens")
    def access_token(self, request: Request, number: str) -> Answer:
        """Make a token of an installation."""
        assert request.token is not None
        app = self.world.options["apps"][request.token.options["app"]]
        for account, found in app["installations"].items():
            if found["id"] != int(number):
                continue
            if found.get("suspended"):
                raise self.refuse(403, "This installation has been suspended")
            wanted = request.json.get("permissions") or found["permissions"]
            if not wanted.items() <= found["permissions"].items():
                raise self.refuse(
                    422, "The permissions requested are not granted to this installation."
                )
            token = self.world.add_token(
                app["slug"],
                prefix="ghs_",
                lasts=self.token_lasts,
                kind="installation",
                permissions=wanted,
                options={"account": account},
            )
            assert token.expires_at is not None
            values = {
                "token": token.value,
                "expires_at": token.expires_at.strftime(_STAMP),
                "permissions": wanted,
            }
            return Answer(201, self.filled("installation-token", values))
        raise self.refuse(404, "Not Found")
