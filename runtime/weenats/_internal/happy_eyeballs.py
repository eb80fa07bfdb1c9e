"""Attempts side by side, so that one that hangs does not delay the others (RFC 8305).

They are attempts to reach the addresses of a host, or several servers.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeVar

from weenats._internal.hosts import is_ip
from weenats._internal.tasks import start_task
from weenats._internal.threads import run_in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

__all__ = ["ATTEMPT_DELAY", "first_success", "resolve"]
ATTEMPT_DELAY: Final = 0.25
"""Seconds after which the next attempt starts beside the others; recommended by RFC 8305."""
ResultT = TypeVar("ResultT")
_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
"""Family, kind, protocol, canonical name and address of a socket, as from getaddrinfo."""


async def resolve(host: str, port: int) -> list[_Address]:
    """Return the addresses of a host; their families alternate.

    A thread is left behind if it is cancelled.

    Args:
        host: the name of the host, or an IP address.
        port: the port.

    Raises:
        OSError: the host is unknown.
    """
    find: Any = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        found: list[_Address]
        found = find() if is_ip(host) else await run_in_thread(find, "weenats name resolution")
    except UnicodeError as error:  # a label of the name is too long
        raise OSError(str(error)) from None
    families: dict[int, list[_Address]] = {}
    for each in found:
        families.setdefault(each[0], []).append(each)
    alternating = chain.from_iterable(zip_longest(*families.values()))
    return [each for each in alternating if each is not None]


async def first_success(
    attempts: Iterable[Callable[[], Coroutine[object, object, ResultT]]],
    on_failure: Callable[[Exception], Awaitable[None]],
    discard: Callable[[ResultT], Awaitable[None]],
) -> ResultT | None:
    """Return the result of the attempt that succeeds first; None when all have failed.

    The next attempt starts when one has failed, and at the latest after `ATTEMPT_DELAY`.

    Args:
        attempts: functions that begin an attempt, in order of preference.
        on_failure: called with the exception of each attempt that fails; what it raises is raised.
        discard: called with the results of attempts that succeed as well, to release them.
    """
    waiting = deque(attempts)
    running: set[asyncio.Task[ResultT]] = set()
    results: list[ResultT] = []
    try:
        while not results and (waiting or running):
            if waiting:
                running.add(start_task(waiting.popleft()()))
            done, running = await asyncio.wait(
                running,
                timeout=ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for failure in _collect(done, results):
                await on_failure(failure)
        await _cancel(running, results)
        return results.pop(0) if results else None
    finally:
        await _cancel(running, results)
        for unused in results:
            await discard(unused)


def _collect(done: Iterable[asyncio.Task[ResultT]], results: list[ResultT]) -> list[Exception]:
    """Append the results of finished tasks; return their failures."""
    failures: list[Exception] = []
    for task in done:
        try:
            results.append(task.result())
        except Exception as error:  # noqa: BLE001 - reported by the caller
            failures.append(error)
    return failures


async def _cancel(running: set[asyncio.Task[ResultT]], results: list[ResultT]) -> None:
    for task in running:
        task.cancel()
    if running:
        done, _ = await asyncio.wait(running)
        running.clear()
        _collect((task for task in done if not task.cancelled()), results)
