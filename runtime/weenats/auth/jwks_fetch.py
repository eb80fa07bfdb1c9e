"""Fetch a small document over HTTP from an untrusted peer.

Redirects are not followed; size and total time are bounded, so a peer that sends one byte at a time
cannot delay the end. Calls block: run them in a thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import urllib.request
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.error import URLError

from weenats.auth.open_socket import open_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MAX_BYTES", "FetchError", "fetch"]

MAX_BYTES: Final = 256 * 1024
"""Default size limit of a document, in bytes."""
_TIMEOUT: Final = 5.0
_HEADERS: Final = {"Accept": "application/json", "User-Agent": "weenats"}
_OK: Final = 200
_CHUNK_BYTES: Final = 16 * 1024


class FetchError(Exception):
    """A document could not be fetched; the message shows nothing of its content."""


def fetch(
    uri: str,
    *,
    timeout: float = _TIMEOUT,
    max_bytes: int = MAX_BYTES,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """Fetch the document at an http or https URL.

    Args:
        uri: the URL.
        timeout: limit of the total time, in seconds, with that of name resolution.
        max_bytes: limit of the document's size, in bytes.
        headers: headers of the request, which replace the default ones.

    Raises:
        FetchError: there is no response in time, its status is not 200, or it is too large.
    """
    watch = _Watch(timeout)
    opener = urllib.request.OpenerDirector()  # no default handlers: no redirects, no files
    opener.add_handler(urllib.request.ProxyHandler(_proxies()))
    opener.add_handler(urllib.request.UnknownHandler())
    opener.add_handler(_Handler(watch.open))
    request = urllib.request.Request(uri, headers={**_HEADERS, **headers})  # noqa: S310 - the handlers above support http and https only
    try:
        with watch, cast("HTTPResponse", opener.open(request, timeout=timeout)) as response:
            if response.status != _OK:
                raise FetchError(f"the response has status {response.status}")
            return _read(response, watch, max_bytes)
    except (OSError, HTTPException, ValueError) as error:
        raise FetchError(
            f"no response within {timeout:g} s" if watch.has_ended else _reason(error)
        ) from None


def _proxies() -> dict[str, str]:
    """Return the proxies of the environment, without that of plain HTTP.

    A host may be reached over plain HTTP because the way to it is trusted, which is not the way
    over a proxy.
    """
    proxies = urllib.request.getproxies()
    return {"https": proxies["https"]} if "https" in proxies else {}


def _read(response: HTTPResponse, watch: _Watch, max_bytes: int) -> bytes:
    body = bytearray()
    while chunk := response.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise FetchError(f"the document has more than {max_bytes} bytes")
    if watch.has_ended or response.length:
        raise OSError
    return bytes(body)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"invalid certificate: {cause.verify_message}"
    if isinstance(cause, TimeoutError):
        return "no response in time"
    if isinstance(cause, ssl.SSLError) and cause.reason:
        return f"TLS failed: {cause.reason.lower().replace('_', ' ')}"
    name = type(cause).__name__ if isinstance(cause, Exception) else "URLError"
    return f"the document cannot be read ({name})"


class _Watch:
    """Closes the connections of one fetch when the timeout has passed."""

    def __init__(self, timeout: float) -> None:
        self._timer = threading.Timer(timeout, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.has_ended = False

    def open(self, address: tuple[str, int], timeout: float, *_: object) -> socket.socket:
        """Connect to a host or proxy, like socket.create_connection.

        It is watched before a byte is sent. A duplicate is kept, since TLS takes over the socket.
        """
        opened = open_socket(address, timeout)
        with self._lock:
            self._sockets.append(opened.dup())
            if self.has_ended:
                opened.close()
                raise TimeoutError
        return opened

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


def _connection(
    open_watched: Callable[..., socket.socket],
    kind: type[HTTPConnection],
    host: str,
    **options: Any,  # noqa: ANN401 - passed on by urllib
) -> HTTPConnection:
    connection: Any = kind(host, **options)
    connection._create_connection = open_watched  # in place of socket.create_connection
    return cast("HTTPConnection", connection)


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens watched connections."""

    def __init__(self, open_watched: Callable[..., socket.socket]) -> None:
        super().__init__()
        self._connect = partial(_connection, open_watched)

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(self._connect, HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(partial(self._connect, HTTPSConnection), req)
