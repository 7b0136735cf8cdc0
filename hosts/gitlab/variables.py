"""CI/CD variables. Secrets are masked variables."""

from __future__ import annotations

from typing import Any

from stepway.hosts.errors import HostError, Reason
from stepway.hosts.gitlab.api import GitLabApi, project_path, quoted
from stepway.hosts.host import HostRepository

_SHORTEST_MASKED = 8


class Variables(GitLabApi):
    """Variables of a project; the scope `*` means all environments.

    GitLab keeps secrets and variables under the same names.
    """

    async def put_secret(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a variable that job logs and, from GitLab 17.4 on, the settings hide.

        Raises HostError INVALID for a value that GitLab cannot mask: it would appear in logs.
        """
        if len(value) < _SHORTEST_MASKED or value != "".join(value.split()):
            raise _not_maskable(name)
        try:
            await self._put(repository, name, value, environment, masked=True)
        except HostError as error:
            if error.reason is Reason.INVALID and "value is invalid" in error.message:
                raise _not_maskable(name) from error
            raise

    async def put_variable(
        self, repository: HostRepository, name: str, value: str, environment: str | None = None
    ) -> None:
        """Store a variable that is not masked."""
        await self._put(repository, name, value, environment, masked=False)

    async def remove_secret(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete the variable."""
        return await self.remove_variable(repository, name, environment)

    async def remove_variable(
        self, repository: HostRepository, name: str, environment: str | None = None
    ) -> bool:
        """Delete the variable of this environment; those of other environments stay."""
        path = f"{project_path(repository)}/variables/{quoted(name)}"
        params = {"filter[environment_scope]": environment or "*"}
        response, _ = await self.http.answer("DELETE", path, params=params, missing=True)
        return response.is_success

    async def _put(
        self,
        repository: HostRepository,
        name: str,
        value: str,
        environment: str | None,
        *,
        masked: bool,
    ) -> None:
        variables, scope = f"{project_path(repository)}/variables", environment or "*"
        body: dict[str, Any] = {
            "value": value,
            "masked": masked,
            # Values are taken as they are: GitLab expands no `$` in them.
            "raw": True,
            "environment_scope": scope,
        }
        # Hosts before 17.4 ignore masked_and_hidden, so that `masked` must be there too.
        hidden = {"masked_and_hidden": True} if masked else {}
        try:
            await self.http.call("POST", variables, {"key": name, **body, **hidden})
        except HostError as error:
            if not error.is_taken:
                raise
            body["filter"] = {"environment_scope": scope}
            await self.http.call("PUT", f"{variables}/{quoted(name)}", body)


def _not_maskable(name: str) -> HostError:
    return HostError(
        Reason.INVALID,
        f"GitLab cannot mask the value of {name}, which would then appear in job logs: it masks "
        f"values of one line, without spaces and of at least {_SHORTEST_MASKED} characters",
        remedy="Store it encoded, such as in Base64, and let the pipeline decode it; or, if it is "
        "not secret, store it as a variable.",
    )
