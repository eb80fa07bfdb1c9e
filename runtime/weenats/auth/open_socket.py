"""Opening a TCP connection within a time limit that includes name resolution.

Calls block: run them in a thread.
"""

import asyncio
import random
import socket
from functools import partial
from typing import Any

from weenats._internal.happy_eyeballs import first_success, resolve

__all__ = ["open_socket"]


def open_socket(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """Connect to a host, like socket.create_connection.

    Args:
        address: host and port.
        timeout: the time limit of everything in seconds; then that of each use of the socket.

    Raises:
        OSError: there is no connection in time.
    """
    opened = asyncio.run(_open(address, timeout))
    opened.settimeout(timeout)
    return opened


async def _open(address: tuple[str, int], timeout: float) -> socket.socket:
    failures: list[Exception] = [TimeoutError()]

    async def on_failure(error: Exception) -> None:
        failures.append(error)

    async with asyncio.timeout(timeout):
        found = await resolve(*address)
        # The next fetch may reach another address, if one of them accepts connections and hangs.
        attempts = [partial(_connect, *each) for each in random.sample(found, len(found))]
        opened = await first_success(attempts, on_failure, _discard)
    if opened is None:
        raise failures[-1]
    return opened


async def _connect(
    family: int, kind: int, protocol: int, _: str, address: tuple[Any, ...]
) -> socket.socket:
    opened = socket.socket(family, kind, protocol)
    opened.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


async def _discard(opened: socket.socket) -> None:
    opened.close()
