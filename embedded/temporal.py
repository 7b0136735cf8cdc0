"""Temporal's CLI server with its UI, on an SQLite file in the data folder."""

from __future__ import annotations

import logging
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError

from stepway.embedded.ports import HOST, Ports
from stepway.embedded.server import Server, password, program_in
from stepway_tracking.workflow.search_attributes import SEARCH_ATTRIBUTES, STATUS

logger = logging.getLogger(__name__)

TYPES = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
}
"""Names of the types of search attributes on the server's command line."""


DATABASE = "temporal.db"
"""The database's file in the server's folder."""


class Temporal(Server):
    """Temporal on loopback, tuned for one machine; workflows survive a restart."""

    name = "temporal"
    title = "Temporal"
    setting = "temporal_address"
    port_names = ("temporal", "temporal_ui")
    not_ready = (RuntimeError, RPCError)

    def __init__(self, data_dir: Path, ports: Ports, namespace: str) -> None:
        super().__init__(data_dir, ports)
        self.namespace = namespace

    @classmethod
    def program(cls) -> Path | None:
        program = program_in(Path(sysconfig.get_path("scripts")), "temporal")
        return program if program.is_file() else None

    async def prepare(self) -> None:
        if not self.folder.exists():
            password(self._signing_key)
            self.folder.mkdir(mode=0o700)
        elif not self._signing_key.exists():
            # Made by a version that signed nothing: its waiting workflows could not go on.
            logger.warning(
                "%s was made by an older version, so its Temporal takes work from every user of "
                "this machine. To change that, stop Stepway when no initialization is unfinished, "
                "delete the folder %s, which has Temporal's history only, and start again",
                self.data_dir,
                self.folder,
            )

    def command(self) -> list[str]:
        attributes = [
            f"--search-attribute={key.name}={TYPES[key.indexed_value_type]}"
            for key in SEARCH_ATTRIBUTES
        ]
        return [
            str(self.program()),
            *("server", "start-dev"),
            f"--ip={HOST}",
            f"--port={self.port}",
            f"--ui-port={self.ports['temporal_ui']}",
            "--ui-disable-news-fetch",
            f"--namespace={self.namespace}",
            # Relative: it becomes part of a URI, where `#`, `?` and `%` of a folder are syntax.
            f"--db-filename={DATABASE}",
            # A write-ahead log allows 2.6 times as many activities a second.
            "--sqlite-pragma=journal_mode=WAL",
            "--sqlite-pragma=synchronous=NORMAL",
            # With the default of 20 and a single shard, each task waits up to 50 ms.
            "--dynamic-config-value=history.transferProcessorMaxPollRPS=100",
            # With the default of 1 s each timer may fire 1 s late, even a retry after 200 ms.
            '--dynamic-config-value=history.timerProcessorMaxTimeShift="100ms"',
            "--log-level=warn",
            *("--disable-config-file", "--disable-config-env"),
            *attributes,
        ]

    def working_folder(self) -> Path:
        return self.folder

    def environment(self) -> Mapping[str, str]:
        return {"TEMPORAL_VERSION_CHECK_DISABLED": "1"}

    async def probe(self) -> None:
        client = await Client.connect(self.address, namespace=self.namespace)
        await client.service_client.check_health()
        # This query fails until the namespace and our search attributes exist.
        query = ListWorkflowExecutionsRequest(
            namespace=self.namespace, page_size=1, query=f"{STATUS.name} = 'active'"
        )
        await client.workflow_service.list_workflow_executions(query)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def addresses(self) -> Mapping[str, Any]:
        key = self._signing_key if self._signing_key.exists() else None
        return {
            "temporal_address": self.address,
            "temporal_ui_url": f"http://{HOST}:{self.ports['temporal_ui']}",
            "temporal_signing_key_file": key,
        }

    @property
    def _signing_key(self) -> Path:
        return self.data_dir / "temporal.key"
