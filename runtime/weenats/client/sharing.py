"""What a client shares with handlers or another client: their telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary, proxy

from weenats.telemetry.client import ClientTelemetry
from weenats.telemetry.manager import SILENT, TelemetryManager

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from weenats.context import RequestContext, Response
    from weenats.contract import AnyOperation
    from weenats.interceptors import CallNext, Interceptor
    from weenats.transport.base import Transport

__all__ = ["Connected", "SharedTelemetry"]


class Connected(Protocol):
    """What has a connection to share: the handlers of a service, or a client."""

    @property
    def transport(self) -> Transport:
        """Its connection."""
        ...

    @property
    def telemetry(self) -> TelemetryManager:
        """Its telemetry."""
        ...


class SharedTelemetry:
    """The telemetry of a client that records calls as its owner does; nothing if that does not.

    Args:
        owner: the handlers or the client.
        transport: the connection, for the address of the server.
    """

    def __init__(self, owner: Connected, transport: Transport) -> None:
        self._owner = owner
        self._transport = transport
        self._known: WeakKeyDictionary[TelemetryManager, ClientTelemetry] = WeakKeyDictionary()

    @property
    def manager(self) -> TelemetryManager:
        """The telemetry of the owner."""
        return self._owner.telemetry

    def interceptor(self, operation: AnyOperation) -> Interceptor:
        """Return the interceptor that records the calls of an operation.

        Args:
            operation: the operation.
        """

        async def record(context: RequestContext, call_next: CallNext) -> Response:
            telemetry = self._current()
            if telemetry is None:
                return await call_next(context)
            return await telemetry.interceptor(operation)(context, call_next)

        return record

    def discovery(self, service: str, verb: str) -> AbstractContextManager[bytes] | None:
        """Return the recording of a discovery request, None when nothing is recorded.

        Args:
            service: the name of the service.
            verb: PING, INFO, STATS, HEALTH or CONTRACT.
        """
        telemetry = self._current()
        return None if telemetry is None else telemetry.discovery(service, verb)

    def _current(self) -> ClientTelemetry | None:
        manager = self.manager
        if manager is SILENT:
            return None
        if manager not in self._known:
            # A value that holds its key would keep both.
            self._known[manager] = ClientTelemetry(proxy(manager), self._transport)
        return self._known[manager]
