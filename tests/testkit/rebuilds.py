"""Rebuilds that end in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from testkit.projections import named
from weenats import NatsTransport
from weenats.projections import follower, key_value, lease
from weenats.projections.builder import ProjectionBuilder
from weenats.transport.jetstream import JetStream

T = TypeVar("T")


def kill_rebuilds(pipe: Connection, url: str, names: list[str]) -> None:
    """Rebuild projections in processes that are killed before they write something.

    Each one gets a write further than the one before.

    Args:
        pipe: gets the signals that ended them, 0 for none.
        url: the server.
        names: the names of the projections.
    """
    children: list[int] = []
    for stop, name in enumerate(names, 1):
        child = os.fork()
        if not child:
            _rebuild_until(url, name, stop)
            os._exit(0)
        children.append(child)
    pipe.send([os.WTERMSIG(os.waitpid(child, 0)[1]) for child in children])


def _rebuild_until(url: str, name: str, stop: int) -> None:
    writes = 0

    def killed(write: Callable[..., T]) -> Callable[..., T]:
        def wrapped(*arguments: Any, **options: Any) -> T:
            nonlocal writes
            writes += 1
            if writes == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            return write(*arguments, **options)

        return wrapped

    for owner, attribute in (
        (JetStream, "publish"),
        (JetStream, "publish_unconfirmed"),
        (JetStream, "purge"),
        (key_value, "publish_batch"),
    ):
        setattr(owner, attribute, killed(getattr(owner, attribute)))
    vars(follower)["_AT_ONCE"] = 10
    vars(lease).update(
        LEASE=1.0,
        monotonic=lambda: 0.0,  # how many writes there are does not depend on the machine
        _RENEWALS=0.001,  # how many there are depends on the machine
    )
    asyncio.run(rebuild(url, name))


async def rebuild(url: str, name: str) -> list[int]:
    """Rebuild a projection of parcels, and return the generations that were removed."""
    transport = NatsTransport(url)
    await transport.connect()
    builder = ProjectionBuilder(named(name), transport)
    await builder.build()
    removed = await builder.remove_outdated(-1.0)
    await transport.close()
    return removed
