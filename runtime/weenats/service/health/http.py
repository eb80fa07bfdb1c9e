"""Serves `/livez` and `/readyz` over HTTP, for the probes of an orchestrator."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Final

from aiohttp import web
from typing_extensions import override

from weenats.protocol.messages import HealthCheckData
from weenats.protocol.timeouts import DeadlineTimer
from weenats.service.health.settings import parse_address

__all__ = ["HealthServer"]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_LOG: Final = logging.getLogger("weenats.health")
_CONNECTION_SECONDS: Final = 10.0
"""How long a connection lasts at most, so that slow peers do not hold them."""
_MAX_CONNECTIONS: Final = 100
_MAX_LINE: Final = 4096
"""The longest request line and the longest header, in bytes."""
_CLOSE_SECONDS: Final = 0.5
_HEADERS: Final = {"Cache-Control": "no-store", "Server": "weenats"}


class HealthServer:
    """An HTTP server on the event loop of the service; each connection has one request.

    `/livez` is 200 while the event loop runs. `/readyz` is 200 while the instance is ready, and
    otherwise 503 with the reason. Requests have no body that is read, and malformed ones are
    refused without a log record.

    Args:
        address: host and port; port 0 chooses a free one, which is logged.
        readiness: returns the health of the instance.

    Attributes:
        url: the URL of the server, "" unless it is running.
    """

    def __init__(self, address: str, readiness: Callable[[], HealthCheckData]) -> None:
        self.url = ""
        self._address = address
        self._readiness = readiness
        self._server: _Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be used.
        """
        self._server = _Server(
            self._answer,
            access_log=None,
            logger=_silent(),
            lingering_time=0,
            auto_decompress=False,
            max_line_size=_MAX_LINE,
            max_field_size=_MAX_LINE,
        )
        host, port = parse_address(self._address)
        try:
            # It is kept before it listens: asyncio leaves it open if it is cancelled then.
            self._listener = await asyncio.get_running_loop().create_server(
                self._server, host, port, start_serving=False
            )
            await self._listener.start_serving()
        except OSError as error:
            # asyncio puts the address into the text of most errors, but not into those of names.
            number = error.errno or 0
            reason = os.strerror(number) if number > 0 else error.strerror or str(error)
            text = f"no health probes on {self._address}: {reason}"
            raise OSError(error.errno, text) from None
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._listener.sockets[0].getsockname()[1]}"
        _LOG.info("health probes are served on %s/livez and /readyz", self.url)

    async def close(self, timeout: float) -> None:
        """Stop listening, and close all connections.

        Args:
            timeout: seconds that it may take.
        """
        if self._listener is not None:
            self._listener.close()
        if self._server is not None:
            for connection in self._server.connections:
                connection.force_close()
            await self._server.shutdown(min(timeout, _CLOSE_SECONDS))
            self._server.deadlines.close()
        self.url = ""

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        status, text = self._probe(request.path)
        headers = _HEADERS
        if request.method not in {"GET", "HEAD"}:
            status, text, headers = 405, "method not allowed", {**_HEADERS, "Allow": "GET, HEAD"}
        response = web.Response(status=status, text=f"{text}\n", headers=headers)
        response.force_close()
        return response

    def _probe(self, path: str) -> tuple[int, str]:
        if path == "/livez":
            return 200, "ok"
        if path != "/readyz":
            return 404, "not found"
        data = self._readiness()
        return (200, "ok") if data.ready is True else (503, f"not ready: {data.reason}")


class _Server(web.Server):
    """Closes connections that last too long, and the oldest ones when there are too many.

    Refusing the newest ones instead would let idle connections keep probes out.
    """

    def __init__(self, handler: Handler, **options: Any) -> None:  # noqa: ANN401 - those of aiohttp
        super().__init__(handler, **options)
        self.deadlines = DeadlineTimer[web.RequestHandler](lambda each: each.force_close())

    @override
    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self.deadlines.add(handler, monotonic() + _CONNECTION_SECONDS)
        for oldest in self.connections[:-_MAX_CONNECTIONS]:
            oldest.force_close()

    @override
    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        self.deadlines.discard(handler)
        super().connection_lost(handler, exc)


def _silent() -> logging.Logger:
    """Return a logger without handlers: aiohttp logs a traceback for each malformed request."""
    logger = logging.Logger("weenats.health.http")  # noqa: LOG001 - not one that users configure
    logger.disabled = True
    return logger
