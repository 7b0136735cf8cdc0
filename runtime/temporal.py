"""The connection to Temporal."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.converter import PayloadConverter

from stepway.runtime.data_converter import data_converter
from stepway.runtime.server_settings import ServerSettings
from stepway.vault.keyring import open_keyring


async def connect_temporal(
    settings: ServerSettings,
    *,
    lazy: bool = False,
    payloads: type[PayloadConverter] | None = None,
) -> Client:
    """A client for the configured namespace; with `lazy` it connects at its first call.

    If the settings have keys, all payloads are encrypted and signed with them. `payloads` is the
    payload converter of a worker with RedactingInterceptor.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter(
            open_keyring(settings.keys),
            settings.signing_key,
            payloads,
        ),
        lazy=lazy,
    )
