"""Fetching a small document over HTTP from a peer that is not trusted to behave.

It blocks: callers run it in a thread. There are no redirects, and size and time are bounded; the
time as a whole, so that a peer that sends a byte now and then ends nothing but its own answer.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import urllib.request
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.error import URLError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 256 * 1024
TIMEOUT: Final = 5.0
_OK: Final = 200
_NUMBER_OF_BYTES: Final = 16 * 1024


class FetchError(Exception):
    """A document that cannot be had; the text says why and shows nothing of it."""


def fetch(uri: str, *, timeout: float = TIMEOUT, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the document at an http or https URI.

    Raises:
        FetchError: the peer cannot be reached, answers anything but 200, too much or too slowly.
    """
    watch = _Watch(timeout)
    opener = urllib.request.OpenerDirector()  # none of the usual handlers: no redirects, no files
    opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.UnknownHandler())
    opener.add_handler(_HttpHandler(watch.add))
    opener.add_handler(_HttpsHandler(watch.add))
    request = urllib.request.Request(uri, headers={"Accept": "application/json"})  # noqa: S310 - the handlers above know http and https only
    try:
        with watch, cast("HTTPResponse", opener.open(request, timeout=timeout)) as response:
            if response.status != _OK:
                raise FetchError(f"the status is {response.status}")
            return _read(response, watch, max_bytes)
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(
            f"no answer within {timeout:g} s" if watch.has_ended else _reason(error)
        ) from None


def _read(response: HTTPResponse, watch: _Watch, max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.read1(_NUMBER_OF_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"it has more than {max_bytes} bytes")
    if watch.has_ended or response.length:
        raise OSError
    return bytes(body)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is refused: {cause.verify_message}"
    if isinstance(cause, TimeoutError):
        return "no answer in time"
    name = type(cause).__name__ if isinstance(cause, Exception) else "URLError"
    return f"it cannot be read ({name})"


class _Watch:
    """Ends the connections of one fetch when its time is over."""

    def __init__(self, timeout: float) -> None:
        self._timer = threading.Timer(timeout, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.has_ended = False

    def add(self, connected: socket.socket) -> None:
        """Watch a connection too. TLS takes the socket itself over, so a duplicate is kept."""
        with self._lock:
            self._sockets.append(connected.dup())
            if self.has_ended:
                raise TimeoutError

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for watched in self._sockets:
                watched.close()
            self._sockets.clear()

    def _end(self) -> None:
        with self._lock:
            self.has_ended = True
            for watched in self._sockets:
                with contextlib.suppress(OSError):
                    watched.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    """A connection that is watched as soon as it stands."""

    watch: Callable[[socket.socket], None]

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)


class _Secure(HTTPSConnection, _Plain):
    """The same with TLS: it is watched before the handshake."""


def _connection(
    kind: type[_Plain],
    watch: Callable[[socket.socket], None],
    host: str,
    **options: Any,  # noqa: ANN401 - what urllib hands on
) -> HTTPConnection:
    connection = kind(host, **options)
    connection.watch = watch
    return connection


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, watch: Callable[[socket.socket], None]) -> None:
        super().__init__()
        self._connect = partial(_connection, _Plain, watch)

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connect, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, watch: Callable[[socket.socket], None]) -> None:
        super().__init__()
        self._connect = partial(_connection, _Secure, watch)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connect, req)
