"""The base of generated skeletons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from weenats.errors import UnavailableError
from weenats.telemetry.manager import SILENT

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.service.endpoint import Endpoint
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport


class ServiceHandlers(ABC):
    """The base of generated skeletons: the handlers of one contract.

    One object serves all requests, concurrently; what it holds is shared by them.
    """

    contract: ClassVar[ServiceContract]
    _transports: tuple[tuple[Transport, TelemetryManager | None], ...] = ()

    @abstractmethod
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations of the contract with the handlers that serve them."""

    @property
    def transport(self) -> Transport:
        """The connection of the service that serves these handlers; events are published on it.

        Raises:
            UnavailableError: no service serves them yet.
        """
        if not self._transports:
            raise UnavailableError("these handlers are not served yet")
        return self._transports[-1][0]

    @property
    def telemetry(self) -> TelemetryManager:
        """What records the events of these handlers and spans of their own; nothing when off."""
        return (self._transports[-1][1] if self._transports else None) or SILENT

    def bind(self, transport: Transport, telemetry: TelemetryManager | None = None) -> None:
        """Publish events on this connection from now on."""
        self._transports = (*self._transports, (transport, telemetry))

    def unbind(self, transport: Transport) -> None:
        """Use the connection no more; that of another service that serves them takes its place."""
        rest = list(self._transports)
        for bound in rest:
            if bound[0] is transport:
                rest.remove(bound)
                break
        self._transports = tuple(rest)
