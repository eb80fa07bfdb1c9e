"""Opening a TCP connection within a time limit that includes name resolution.

Addresses are tried side by side (RFC 8305), so that one that does not answer does not take the time
of the others. Calls block: run them in a thread.
"""

import random
import selectors
import socket
from collections import deque
from contextlib import suppress
from os import strerror
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, Final, cast

__all__ = ["open_socket"]
_ATTEMPT_DELAY: Final = 0.25
_Address = tuple[Any, ...]
"""Family, type, protocol, canonical name and address of a socket, as from getaddrinfo."""


def open_socket(address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
    """Connect to a host, like socket.create_connection.

    Args:
        address: host and port.
        timeout: the time limit of everything in seconds; then that of each use of the socket.

    Raises:
        OSError: there is no connection in time.
    """
    deadline = monotonic() + timeout
    found = _resolve(address, timeout)
    # The next attempt may reach another address, if one of them accepts connections and hangs.
    attempts = _Attempts(random.sample(found, len(found)))
    try:
        opened = attempts.run(deadline)
    finally:
        attempts.close()
    opened.settimeout(timeout)
    return opened


def _resolve(address: tuple[str, int], timeout: float) -> list[_Address]:
    """Return the addresses of a host. A thread is left behind if it takes too long."""
    results: SimpleQueue[list[_Address] | OSError] = SimpleQueue()

    def resolve() -> None:
        try:
            results.put(socket.getaddrinfo(*address, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            results.put(error if isinstance(error, OSError) else OSError(str(error)))

    Thread(target=resolve, name="weenats-resolve", daemon=True).start()
    try:
        found = results.get(timeout=timeout)
    except Empty:
        raise TimeoutError("the name of the host cannot be resolved in time") from None
    if isinstance(found, OSError):
        raise found
    return found


class _Attempts:
    """Attempts to connect to one of several addresses."""

    def __init__(self, addresses: list[_Address]) -> None:
        self._waiting = deque(addresses)
        self._running = selectors.DefaultSelector()
        self._failure: OSError = TimeoutError()

    def run(self, deadline: float) -> socket.socket:
        """Return the first socket that connects."""
        next_at = monotonic()
        while self._waiting or self._running.get_map():
            now = monotonic()
            if now >= deadline:
                raise TimeoutError
            if self._waiting and now >= next_at:
                next_at = now + _ATTEMPT_DELAY if self._begin() else now
            pause = min(deadline, next_at) if self._waiting else deadline
            for key, _ in self._running.select(max(pause - monotonic(), 0)):
                opened = cast("socket.socket", key.fileobj)
                self._running.unregister(opened)
                if not (number := opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                    return opened
                opened.close()
                self._failure = OSError(number, strerror(number))
                next_at = now
        raise self._failure

    def close(self) -> None:
        """Close the sockets of all other attempts."""
        for key in list(self._running.get_map().values()):
            cast("socket.socket", key.fileobj).close()
        self._running.close()

    def _begin(self) -> bool:
        """Begin the next attempt; return whether it has not failed."""
        family, kind, protocol, _, address = self._waiting.popleft()
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError as error:  # the machine has no IPv6
            self._failure = error
            return False
        opened.settimeout(0)
        try:
            with suppress(BlockingIOError):
                opened.connect(address)
        except OSError as error:
            opened.close()
            self._failure = error
            return False
        self._running.register(opened, selectors.EVENT_WRITE)
        return True
