"""The ledger of limits that instances share: what is taken of each, in a key-value bucket."""

from __future__ import annotations

import asyncio
import json
import math
import random
from contextlib import suppress
from dataclasses import replace
from hashlib import blake2b
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from pydantic_core import from_json

from weenats._internal.limited_log import LimitedLogger
from weenats.errors import AlreadyExistsError, UnavailableError
from weenats.transport.jetstream import JetStream, WrongSequenceError, bucket_config
from weenats.transport.jetstream.key_value import bucket_subject

if TYPE_CHECKING:
    from weenats.contract import RateLimit
    from weenats.transport.base import Transport
    from weenats.transport.jetstream import StreamConfig

__all__ = ["Grant", "Ledger", "ledger_bucket", "ledger_config"]
_LOG: Final = LimitedLogger("weenats.rate_limit")
_TIMEOUT: Final = 1.0
"""Seconds that JetStream has for an answer."""
_ATTEMPTS: Final = 50
_LONGEST_PAUSE: Final = 0.01
"""Seconds between two attempts to change an entry that other instances change too, at most."""
_CLOCK_PERIOD: Final = 60.0
"""Seconds after which the clock of the server is read again."""
_TOLERANCE: Final = 1e-6
_MOST_AHEAD: Final = 5.0
"""Seconds that an entry may be ahead of the clock of the server, which is known inexactly."""


class Grant(NamedTuple):
    """What an instance got of a limit.

    Attributes:
        amount: how many requests it may let pass.
        wait: seconds until there is more, when the amount is 0.
    """

    amount: float
    wait: float = 0.0


def ledger_bucket(service: str) -> str:
    """Return the name of the key-value bucket of a service's ledger.

    Args:
        service: the name of the service.
    """
    return f"{service}-limits"


def ledger_config(service: str) -> StreamConfig:
    """Return the settings of the stream of a service's ledger.

    Args:
        service: the name of the service.
    """
    config = bucket_config(ledger_bucket(service))
    text = "How much of the rate limits is taken that instances share."
    # Without markers, so that an entry that has expired is like one that never was.
    return replace(config, description=text, storage="memory", marker_ttl=None)


class Ledger:
    """How full the leaky bucket of each limit is, for all instances together.

    An entry has a level and the time at which it was that, by the clock of the server, so that the
    clocks of instances do not matter. Time in it never goes back: however inexactly an instance
    knows the server's clock, no more leaks than the rate allows. If that clock was set back, so
    that an entry is far ahead of it, the entry leaks from now on. An entry expires when its bucket
    is drained.

    Args:
        service: the name of the service.
        transport: the connection.
    """

    def __init__(self, service: str, transport: Transport) -> None:
        self._config = ledger_config(service)
        self._jetstream = JetStream(transport, _TIMEOUT)
        bucket = ledger_bucket(service)
        self._bucket = self._jetstream.key_value(bucket)
        self._clock = bucket_subject(bucket, f"clock-{uuid4().hex}")
        self._offset = 0.0
        """The clock of the server minus the monotonic clock."""
        self._clock_is_due = -math.inf

    async def open(self) -> None:
        """Create the bucket if there is none, and read the clock of the server.

        Raises:
            ServiceError: JetStream is not available, or refuses.
        """
        with suppress(AlreadyExistsError):  # with other settings, such as more replicas
            await self._jetstream.create_stream(self._config)
        await self._read_clock()

    async def take(self, name: str, limit: RateLimit, amount: float) -> Grant:
        """Take from a limit, as much as there is.

        Args:
            name: what is limited.
            limit: the limit.
            amount: how much is wanted, at least 1.

        Raises:
            UnavailableError: too many instances take at the same time.
            ServiceError: JetStream does not answer.
        """
        if monotonic() >= self._clock_is_due:
            await self._read_clock()
        key = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
        for _ in range(_ATTEMPTS):
            level, now, revision, is_ahead = await self._level(key, limit)
            room = limit.capacity - level
            taken = float(math.floor(min(amount, room + _TOLERANCE)))
            if taken < 1:
                if is_ahead:  # without this it would be full until the clock is there
                    with suppress(WrongSequenceError):
                        await self._store(key, limit, level, now, revision)
                return Grant(0.0, (1 - room) / limit.max_requests_per_second)
            try:
                await self._store(key, limit, level + taken, now, revision)
            except WrongSequenceError:
                await asyncio.sleep(random.uniform(0.0, _LONGEST_PAUSE))  # noqa: S311 - no secret
            else:
                return Grant(taken)
        raise UnavailableError(f"{self._config.name}: too many instances take from one limit")

    async def _level(self, key: str, limit: RateLimit) -> tuple[float, float, int, bool]:
        """Return how full a bucket is, the time, and the revision of its entry, 0 without one.

        The last value is whether the entry is so far ahead of the clock that it has another time.
        """
        now = monotonic() + self._offset
        entry, revision = await self._bucket.state(key)
        if entry is None:
            return 0.0, now, revision, False
        stored = _read(entry.payload)
        if stored is None:  # it is of another program, and is replaced
            _LOG.warning("an entry of %s is not valid, and is ignored", self._config.name)
            return 0.0, now, revision, False
        level, time = stored
        if time > now + _MOST_AHEAD:  # perhaps the clock was set ahead since it was read
            await self._read_clock()
            now = monotonic() + self._offset
        is_ahead = time > now + _MOST_AHEAD
        time = now if is_ahead else time
        elapsed = max(now - time, 0.0)
        # Never fuller than full, else it would stay full for as long as somebody has written.
        level = max(min(level, limit.capacity) - elapsed * limit.max_requests_per_second, 0.0)
        return level, time + elapsed, revision, is_ahead

    async def _store(
        self, key: str, limit: RateLimit, level: float, now: float, revision: int
    ) -> None:
        value = json.dumps({"level": level, "time": now}).encode()
        ttl = math.ceil(level / limit.max_requests_per_second) + 1
        await self._bucket.update(key, value, revision, ttl=ttl)

    async def _read_clock(self) -> None:
        """Find out what time it is for the server, which stores the time of each message."""
        before = monotonic()
        await self._jetstream.publish(self._clock, b"{}", ttl=_CLOCK_PERIOD)
        between = (before + monotonic()) / 2
        entry = await self._jetstream.last(self._config.name, self._clock)
        self._offset = entry.time.timestamp() - between
        self._clock_is_due = monotonic() + _CLOCK_PERIOD


def _read(value: bytes) -> tuple[float, float] | None:
    """Return the level and the time in an entry, None if it is not valid."""
    try:
        stored: Any = from_json(value)
        level, time = float(stored["level"]), float(stored["time"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return (level, time) if math.isfinite(level) and math.isfinite(time) else None
