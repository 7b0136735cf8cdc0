"""The connection to Temporal."""

from __future__ import annotations

from temporalio.client import Client

from stepway.runtime.server_settings import ServerSettings
from stepway.vault.keyring import open_keyring
from stepway.vault.payload_codec import data_converter


async def connect_temporal(settings: ServerSettings, *, lazy: bool = False) -> Client:
    """A client of the settings' namespace; a lazy one connects at its first call.

    Everything it sends is encrypted where the settings have keys.
    """
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        data_converter=data_converter(open_keyring(settings.keys)),
        lazy=lazy,
    )
