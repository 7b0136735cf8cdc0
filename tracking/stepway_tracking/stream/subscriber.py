"""The Redis subscription of a process: one connection for all watched projects."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from stepway_tracking.stream.options import HubOptions

logger = logging.getLogger(__name__)

# Subscribed last: Redis confirms it after all other channels.
MARKER = "stepway:hub"
CONNECTION_ERRORS = (RedisError, OSError)

CANCEL_AGAIN = 0.1
"""Seconds after which a task that has not stopped is cancelled again."""


class RedisSubscriber:
    """Subscribes to channels and passes on their messages. Reconnects instead of raising.

    `on_message` gets a channel and a message. `on_connected` is called after each connection, when
    Redis has confirmed all channels; messages published before may have been lost.
    """

    def __init__(
        self,
        url: str,
        options: HubOptions,
        *,
        on_message: Callable[[str, bytes], None],
        on_connected: Callable[[], None],
    ) -> None:
        # If the client reconnected by itself, lost messages would not be noticed.
        once = Retry(NoBackoff(), 0)
        self._redis = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=1, retry=once)
        self._options = options
        self._on_message = on_message
        self._on_connected = on_connected
        self._channels: dict[str, asyncio.Future[None]] = {}
        self._pubsub: PubSub | None = None
        self._command_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    def start(self) -> None:
        """Connect in the background."""
        self._task = asyncio.create_task(self._stay_connected())

    async def close(self) -> None:
        """Stop and disconnect."""
        # redis-py loses a cancellation that arrives while it connects.
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=CANCEL_AGAIN)
        await self._redis.aclose()

    async def subscribe(self, channel: str) -> None:
        """Subscribe and wait up to `ack_timeout` for the confirmation, unless disconnected."""
        confirmed = self._channels[channel] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._options.ack_timeout):
                async with self._command_lock:
                    if self._pubsub is None:  # the next connection subscribes to all channels
                        return
                    await self._pubsub.subscribe(channel)
                await asyncio.shield(confirmed)
        except (*CONNECTION_ERRORS, TimeoutError) as error:
            logger.warning("Redis did not confirm %s: %s", channel, error or "no answer")

    async def unsubscribe(self, channel: str) -> None:
        """Unsubscribe from a channel."""
        self._channels.pop(channel, None)
        try:
            async with asyncio.timeout(self._options.ack_timeout), self._command_lock:
                if self._pubsub is not None and channel not in self._channels:
                    await self._pubsub.unsubscribe(channel)
        except (*CONNECTION_ERRORS, TimeoutError) as error:
            logger.warning("Redis did not unsubscribe from %s: %s", channel, error or "no answer")

    async def _stay_connected(self) -> None:
        delay = self._options.reconnect_delay
        while True:
            try:
                await self._listen()
            except CONNECTION_ERRORS as error:
                if self.connected or delay == self._options.reconnect_delay:
                    logger.warning("Redis is unavailable (%s); events are delayed", error)
            except Exception:
                # Whatever it is: without this task no event would come any more.
                logger.exception("Listening to Redis failed; connecting again")
            if self.connected:
                delay = self._options.reconnect_delay
            self.connected = False
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, self._options.reconnect_delay_max)

    async def _listen(self) -> None:
        """Pass on messages until the connection is lost or a ping is not answered."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.connect()
            async with self._command_lock:
                await pubsub.subscribe(*self._channels, MARKER)
                self._pubsub = pubsub
            try:
                await self._dispatch(pubsub)
            finally:
                self._pubsub = None

    async def _dispatch(self, pubsub: PubSub) -> None:
        pinged = False
        while True:
            message = await pubsub.get_message(timeout=self._options.silence)
            if message is not None:
                pinged = False
                self._handle(message)
            elif pinged:
                raise ConnectionError("no answer to a ping")
            else:
                await pubsub.ping()
                pinged = True

    def _handle(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            try:
                self._on_message(message["channel"].decode(), message["data"])
            except Exception:
                # One bad message must not keep the others away.
                logger.exception("A message on %r could not be handled", message["channel"])
        elif message["type"] == "subscribe":
            self._confirm(message["channel"].decode())

    def _confirm(self, channel: str) -> None:
        if channel == MARKER:
            self.connected = True
            self._on_connected()
        confirmed = self._channels.get(channel)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(None)
