"""Connections on which a server has greeted: with the line INFO, the first one of the protocol.

A server that hangs accepts connections, but does not greet.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import nats.errors
from nats.aio.transport import TcpTransport, WebSocketTransport
from typing_extensions import override

from weenats._internal.tasks import retrieve
from weenats.transport.nats_py.errors import NOT_NATS, NotNatsError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from urllib.parse import ParseResult

    from nats.aio.transport import Transport as NatsSocket

__all__ = ["GreetedSocket", "GreetedTcp", "GreetedWebSocket", "discard_socket", "time_limit"]
_BUFFER_BYTES: Final = 32_768
_NO_TLS_FIRST: Final = (
    "the server does not answer a TLS handshake that comes first: check that it, or the proxy"
    " before it, has `handshake_first`, otherwise connect without tls_handshake_first"
)
_NO_GREETING: Final = (
    "the server accepts connections but does not greet: it hangs, is not a NATS server, or it, or"
    " the proxy before it, expects the TLS handshake first; for such servers, set"
    " tls_handshake_first of ConnectionOptions"
)
_ENDED_IN_HANDSHAKE: Final = "the server ended the connection during the TLS handshake"
_NO_END: Final = f"its first line does not end within {_BUFFER_BYTES} bytes"
_INFO: Final = b"INFO "
_REFUSAL: Final = b"-ERR "
_MAX_SHOWN: Final = 40
_TLS_ALERT: Final = b"\x15\x03"
"""How the message of a TLS server begins that did not get a handshake."""


class _TlsProtocol(asyncio.StreamReaderProtocol):
    """Passes what TLS decrypts to a reader."""

    @override
    def eof_received(self) -> bool:
        super().eof_received()
        return False  # asyncio's answer is for connections without TLS, and it warns about that


class GreetedTcp(TcpTransport):
    """A TCP connection.

    Attributes:
        failure: why there was no greeting until the attempt ended or was cancelled, if it may be
            that the server expects a TLS handshake, or none.
        is_encrypted: whether the TLS handshake has succeeded.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        self.failure: OSError | None = None
        self._greeting = b""
        self.is_encrypted = False

    async def open(
        self, host: str, port: int, tls: ssl.SSLContext | None, tls_name: str, timeout: float
    ) -> None:
        """Connect to an address and receive the greeting.

        Args:
            host: the IP address.
            port: the port.
            tls: the context of a TLS handshake before the greeting, None for none.
            tls_name: the host that the certificate must be valid for.
            timeout: the time limit in seconds.

        Raises:
            OSError: there is no connection in time.
            nats.errors.Error: it is not a NATS server.
        """
        try:
            async with time_limit(timeout):
                reader, writer = await asyncio.open_connection(host, port, limit=_BUFFER_BYTES)
                self._bare_io_reader = self._io_reader = reader
                self._bare_io_writer = self._io_writer = writer
                if tls is not None:
                    await self.connect_tls(tls_name, tls, _BUFFER_BYTES, int(timeout) + 1)
                self._greeting = await _greeting(self)
        except BaseException as error:
            has_connected = self._io_writer is not None
            self.close()  # type: ignore[no-untyped-call]  # see above
            if tls is None and has_connected and _may_expect_tls(error):
                self.failure = OSError(_NO_GREETING)
            elif has_connected and not self.is_encrypted and _may_expect_no_tls(error):
                self.failure = OSError(_NO_TLS_FIRST)
            if self.failure is not None and isinstance(error, Exception):
                raise self.failure from None
            raise

    @override
    async def connect_tls(
        self,
        uri: str | ParseResult,
        ssl_context: ssl.SSLContext,
        buffer_size: int,
        connect_timeout: int,
    ) -> None:
        writer = self._io_writer
        # nats-py asks again for a handshake that was the first step.
        if self.is_encrypted or writer is None:
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(loop=loop)  # has nothing that came before the handshake
        protocol = _TlsProtocol(reader, loop=loop)
        name = uri if isinstance(uri, str) else uri.hostname
        try:
            async with asyncio.timeout(connect_timeout):
                encrypted = await loop.start_tls(
                    writer.transport, protocol, ssl_context, server_hostname=name
                )
        except ConnectionError as error:
            raise OSError(str(error) or _ENDED_IN_HANDSHAKE) from None
        if encrypted is None:  # asyncio's answer for a connection that ended meanwhile
            raise OSError(_ENDED_IN_HANDSHAKE)
        self._io_reader = reader
        self._io_writer = asyncio.StreamWriter(encrypted, protocol, reader, loop)
        self.is_encrypted = True

    @override
    def write(self, payload: bytes) -> None:
        # A lost connection drops it as well, and asyncio logs that, until somebody notices the end.
        if self._io_writer is not None and not self._io_writer.transport.is_closing():
            self._io_writer.write(payload)

    @override
    async def drain(self) -> None:
        try:
            await super().drain()  # type: ignore[no-untyped-call]  # see above
        except ConnectionResetError:
            # asyncio says only that the connection ended; the reader knows why, for example that
            # the server refused the client certificate.
            reason = None if self._io_reader is None else self._io_reader.exception()
            if reason is None:
                raise
            raise reason from None

    @override
    async def wait_closed(self) -> None:
        if self._io_writer is None:
            return
        # Awaited in a task of its own: asyncio has one future for all who wait, and whoever is
        # cancelled while waiting would cancel it, with it those who close or reconnect afterwards.
        closed = asyncio.ensure_future(self._io_writer.wait_closed())
        closed.add_done_callback(retrieve)  # that the server has reset the connection
        await asyncio.wait([closed])
        await closed

    @override
    async def readline(self) -> bytes:
        greeting, self._greeting = self._greeting, b""
        return greeting or await super().readline()  # type: ignore[no-untyped-call]  # see above


class GreetedWebSocket(WebSocketTransport):
    """A WebSocket.

    Attributes:
        is_encrypted: whether the TLS handshake has succeeded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""
        self.is_encrypted = False

    async def open(
        self, url: ParseResult, tls: ssl.SSLContext | None, tls_name: str | None, timeout: float
    ) -> None:
        """Connect to a URL and receive the greeting.

        Args:
            url: the URL of the server.
            tls: the TLS context, None for ws://.
            tls_name: the host that the certificate must be valid for; None for that of the URL.
            timeout: the time limit in seconds.

        Raises:
            OSError: there is no connection in time.
            nats.errors.Error: it is not a NATS server.
        """
        try:
            async with time_limit(timeout):
                # nats-py passes a timeout that aiohttp calls deprecated.
                untyped: Any = self
                self._ws = await untyped._client.ws_connect(
                    url.geturl(), ssl=tls or True, server_hostname=tls_name, max_msg_size=0
                )
                self._using_tls = self.is_encrypted = tls is not None
                self._rest = await _greeting(self) + self._rest
        except BaseException as error:
            await discard_socket(self)
            # aiohttp's own errors of TLS lack the members of the ones that they wrap.
            for name in ("certificate_error", "os_error", "__cause__"):
                cause: object = getattr(error, name, None)
                if isinstance(cause, OSError):
                    raise cause from None
            raise

    @override
    async def readline(self) -> bytes:
        # A message of a WebSocket may be a part of a line, or several of them: nats-py would drop
        # those after the first.
        while b"\n" not in self._rest:
            received = await self._received()
            if not received or len(self._rest) > _BUFFER_BYTES:
                return b""
            self._rest += received
        line, end, self._rest = self._rest.partition(b"\n")
        return line + end

    @override
    async def read(self, buffer_size: int) -> bytes:
        rest, self._rest = self._rest, b""
        return rest or await self._received()

    @override
    async def wait_closed(self) -> None:
        untyped: Any = self
        session = untyped._client
        try:
            await super().wait_closed()  # type: ignore[no-untyped-call]  # nats-py has no type for it
        finally:
            # nats-py leaves the session open when the close of the socket fails or is cancelled.
            if session is not None:
                await session.close()

    async def _received(self) -> bytes:
        untyped: Any = super()
        received: bytes = await untyped.readline()
        return received


GreetedSocket = GreetedTcp | GreetedWebSocket


async def discard_socket(transport: NatsSocket) -> None:
    """Close a connection that is not used.

    Args:
        transport: the connection.
    """
    transport.close()  # type: ignore[no-untyped-call]  # nats-py has no type for it
    if isinstance(transport, WebSocketTransport) and transport:
        await transport.wait_closed()  # type: ignore[no-untyped-call]  # see above


def _may_expect_no_tls(error: BaseException) -> bool:
    """Return whether an error may be that of a TLS handshake with a server that expects none."""
    return isinstance(error, TimeoutError | asyncio.CancelledError) or (
        isinstance(error, ssl.SSLError) and error.reason == "WRONG_VERSION_NUMBER"
    )


def _may_expect_tls(error: BaseException) -> bool:
    """Return whether an error may be that of a server that waits for a TLS handshake."""
    return isinstance(
        error,
        TimeoutError | asyncio.CancelledError | nats.errors.UnexpectedEOF | ConnectionResetError,
    )


@asynccontextmanager
async def time_limit(timeout: float) -> AsyncGenerator[None]:
    """Limit the time of an attempt; the error of asyncio has no text.

    Args:
        timeout: the time limit in seconds.

    Raises:
        TimeoutError: it has passed.
    """
    try:
        async with asyncio.timeout(timeout):
            yield
    except TimeoutError:
        raise TimeoutError("no answer in time") from None


def _text(line: bytes) -> str:
    return line[:_MAX_SHOWN].decode("ascii", "backslashreplace").strip().strip("'")


async def _greeting(transport: GreetedSocket) -> bytes:
    try:
        line: bytes = await transport.readline()
    except ValueError:
        raise NotNatsError(f"{NOT_NATS}: {_NO_END}") from None
    if not line or line.startswith(_TLS_ALERT):
        raise nats.errors.UnexpectedEOF
    if not line.startswith(_INFO):
        if line.startswith(_REFUSAL):  # as instead of a greeting when it has too many connections
            raise nats.errors.Error(f"{_text(line.removeprefix(_REFUSAL))}")
        raise NotNatsError(f"{NOT_NATS}: it begins with {_text(line)!r}")
    if not line.endswith(b"\n"):
        raise nats.errors.UnexpectedEOF
    try:
        info: object = json.loads(line.removeprefix(_INFO))
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise NotNatsError(f"{NOT_NATS}: its INFO is not a JSON object")
    return line
