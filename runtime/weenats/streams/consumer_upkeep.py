"""Restoring the consumers on the server that somebody edits or deletes while they are in use."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats._internal.watcher import Watcher
from weenats.errors import AlreadyExistsError, PermissionDeniedError, ServiceError
from weenats.streams.consumers import restored
from weenats.transport.jetstream import (
    ConsumerConfig,
    ConsumerMissingError,
    JetStream,
    JetStreamRefusedError,
)
from weenats.transport.jetstream.config import changed_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from weenats.transport.base import Transport
    from weenats.transport.jetstream import ConsumerInfo, StreamInfo

__all__ = ["ConsumerUpkeep"]
_LOG: Final = logging.getLogger("weenats.events")
_INTERVAL: Final = 15.0
"""Seconds between two looks at the consumers."""
_PATIENCE: Final = 5.0
"""Seconds until a consumer that is gone is created again: who deletes it may do so, elsewhere."""
_LOSING: Final = frozenset({"filters", "acknowledgement", "max_deliver", "headers_only"})
"""Settings with which events that were not processed may not be delivered again."""


class ConsumerUpkeep(Watcher):
    """Looks at consumers on the server from time to time, from `start` to `close`.

    One with other settings gets them back. If events may have been lost by them, or it was deleted,
    it begins again where it was at the last look: events since then may be delivered twice.

    Args:
        transport: the connection.
        stream: the name of their stream.
        wanted: their settings.
    """

    def __init__(self, transport: Transport, stream: str, wanted: Sequence[ConsumerConfig]) -> None:
        self._jetstream = JetStream(transport)
        self._stream = stream
        self._wanted = wanted
        self._created: datetime | None = None
        self._acknowledged: dict[str, int] = {}
        """Up to which message each consumer had processed everything at the last look."""
        self._missing: dict[str, float] = {}
        """Since when consumers are gone, on the monotonic clock."""
        self._doubt = asyncio.Event()

    def look_soon(self) -> None:
        """Look before it is time: a consumer delivers nothing."""
        self._doubt.set()

    @override
    async def _watch(self) -> None:
        while True:
            self._doubt.clear()
            try:
                await self._look()
            except ServiceError as error:  # the stream is gone, or the connection is
                _LOG.debug("cannot look at the consumers of %s: %s", self._stream, error)
            if self._missing:
                await asyncio.sleep(_PATIENCE)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self._doubt.wait()

    async def _look(self) -> None:
        stream = await self._jetstream.stream_info(self._stream)
        if self._created not in {None, stream.created}:
            self._acknowledged = {each.name: 0 for each in self._wanted}  # of another stream
        self._created = stream.created
        for wanted in self._wanted:
            try:
                info = await self._jetstream.consumer_info(self._stream, wanted.name)
            except ConsumerMissingError:
                since = self._missing.setdefault(wanted.name, monotonic())
                if monotonic() - since >= _PATIENCE:
                    await self._create(wanted, stream)
                continue
            self._missing.pop(wanted.name, None)
            # Instances that want another `ack_wait` do not take turns: the longest one is kept.
            ack_wait = max(wanted.ack_wait, info.config.ack_wait)
            config = restored(info.config, replace(wanted, ack_wait=ack_wait))
            if config == info.config:
                self._acknowledged[wanted.name] = info.acknowledged
            else:
                await self._restore(info, config, wanted, stream)

    async def _restore(
        self, info: ConsumerInfo, config: ConsumerConfig, wanted: ConsumerConfig, stream: StreamInfo
    ) -> None:
        changed = changed_settings(info.config, config)
        _LOG.warning(
            "somebody has changed the consumer %s of %s: %s; it gets its settings back",
            wanted.name,
            self._stream,
            ", ".join(sorted(changed)),
        )
        if not changed & _LOSING:
            with suppress(JetStreamRefusedError):
                await self._jetstream.update_consumer(self._stream, config)
                return
        try:
            await self._jetstream.delete_consumer(self._stream, wanted.name)
        except PermissionDeniedError:
            await self._jetstream.update_consumer(self._stream, config)
            _LOG.error(
                "events of the consumer %s of %s may be lost: it may not be deleted by this user;"
                " let it begin again after %s",
                wanted.name,
                self._stream,
                self._acknowledged.get(wanted.name, 0),
            )
        else:
            kept = replace(
                wanted, description=info.config.description, replicas=info.config.replicas
            )
            await self._create(kept, stream)

    async def _create(self, wanted: ConsumerConfig, stream: StreamInfo) -> None:
        """Create a consumer that begins where the one before was, as far as that is known."""
        name, start = wanted.name, wanted.start
        if name in self._acknowledged:
            start = min(self._acknowledged[name], stream.last_sequence) + 1
        with suppress(AlreadyExistsError):  # another instance was quicker
            await self._jetstream.create_consumer(self._stream, replace(wanted, start=start))
            _LOG.warning(
                "created the consumer %s of %s again, from %s on", name, self._stream, start
            )
        self._missing.pop(name, None)
