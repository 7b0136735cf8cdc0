"""The connection to Temporal."""

from __future__ import annotations

from temporalio.client import Client

from tracking.settings import Settings


async def connect_temporal(settings: Settings, *, lazy: bool = False) -> Client:
    """A client of the settings' namespace; a lazy one connects at its first call."""
    return await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, lazy=lazy
    )
