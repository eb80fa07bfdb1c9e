"""One running instance of a service: how it starts, serves and stops."""

from __future__ import annotations

import asyncio
import logging
from contextvars import Context
from typing import TYPE_CHECKING, Final, Self

from weenats.errors import ConnectionLostError, UnavailableError
from weenats.protocol.identifiers import STAMPER
from weenats.service.assembly import Assembly
from weenats.service.discovery import answer_discovery, answer_health
from weenats.service.signals import StopSignals
from weenats.telemetry.gauges import observe
from weenats.telemetry.semconv import DRAINING
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weenats.auth import JwksState
    from weenats.service.handlers import ServiceHandlers
    from weenats.service.settings import ServiceSettings
    from weenats.transport.base import Subscription

__all__ = ["NatsService"]
_LOG: Final = logging.getLogger("weenats.service")


class NatsService:
    """One running instance of a service; `async with` starts and stops it.

    Attributes:
        contract: the contract of the service.
        instance_id: the id of this instance, a ULID.
    """

    def __init__(self, handlers: ServiceHandlers, settings: ServiceSettings) -> None:
        self.contract = handlers.contract
        self.instance_id = STAMPER.new_id()
        self._handlers = handlers
        self._settings = settings
        self._owns_transport = settings.transport is None
        self._transport = settings.transport or NatsTransport(settings.servers, settings.connection)
        self._assembly: Assembly | None = None
        self._subscriptions: list[Subscription] = []
        self._state = "new"
        self._stopping: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._lost: ConnectionLostError | None = None

    def __repr__(self) -> str:
        return f"<NatsService {self.contract.name} {self.instance_id} {self._state}>"

    @property
    def is_serving(self) -> bool:
        """Whether the service accepts requests."""
        return self._state == "serving"

    @property
    def is_member(self) -> bool:
        """Whether it is in its queue group, so that it gets new requests; see `self_eject`."""
        return self._assembly is not None and self._assembly.membership.is_member

    @property
    def is_connected(self) -> bool:
        """Whether it is connected to NATS now."""
        return self._transport.is_connected

    @property
    def servers(self) -> str:
        """The NATS servers of its connection, without credentials; "" if it has none."""
        return self._transport.servers if isinstance(self._transport, NatsTransport) else ""

    @property
    def jwks_state(self) -> JwksState | None:
        """The state of the published keys that tokens are verified with, None without any."""
        jwks = self._settings.jwks
        return None if jwks is None else jwks.state()

    def gauges(self) -> Mapping[str, float]:
        """Return the current values of the gauges, by their names; none unless it runs."""
        if self._assembly is None or self._state not in {"serving", "stopping"}:
            return {}
        return {DRAINING: int(self._state == "stopping"), **self._assembly.gauges()}

    async def start(self) -> None:
        """Connect, run the health checks, and subscribe; then requests reach this instance.

        Raises:
            UnavailableError: NATS cannot be reached, or the service was stopped meanwhile.
            PermissionDeniedError: NATS refused the credentials or a subject.
            OSError: the address of HTTP probes cannot be used.
            RuntimeError: the instance was started before.
        """
        if self._state != "new":
            raise RuntimeError("a service can be started only once; build another one")
        self._state = "starting"
        try:
            assembly = self._assembly = Assembly(
                self._handlers,
                self._settings,
                self._transport,
                self.instance_id,
                lambda: self.is_serving,
            )
            if self._settings.jwks is not None:
                self._settings.jwks.start()
            if assembly.http is not None:
                await assembly.http.start()
            await self._transport.connect()
            self._handlers.bind(assembly.binding)
            await self._subscribe(assembly)
        except BaseException:
            await self._stop(budget=0)
            raise
        self._state = "serving"
        self._watch = asyncio.create_task(self._stop_without_connection(), context=Context())
        if self._settings.telemetry is not None:
            observe(self, assembly.telemetry)
        _LOG.info("%s %s serves as %s", self.contract.name, self.contract.version, self.instance_id)

    async def stop(self) -> None:
        """Leave the queue group, finish the admitted requests, and close the connection.

        Requests that are not finished within the drain timeout fail with UNAVAILABLE. Further calls
        wait for the first stop.
        """
        await asyncio.shield(self._begin_stop())

    def abort(self) -> None:
        """Cut a stop short: requests that are not finished fail with UNAVAILABLE now."""
        if self._assembly is not None:
            self._assembly.admission.abort()

    async def wait_until_stopped(self) -> None:
        """Serve until SIGTERM or SIGINT arrives or `stop` is called.

        A second signal cuts the stop short.

        Raises:
            ConnectionLostError: the service stopped because its connection was closed for good.
        """
        with StopSignals(self._on_signal):
            await self._stopped.wait()
            if self._stopping is not None:
                await asyncio.shield(self._stopping)
        if self._lost is not None:
            raise self._lost

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _subscribe(self, assembly: Assembly) -> None:
        """Subscribe to health requests, and after the first checks to everything else."""
        transport, health = self._transport, self._settings.health
        if health is None or health.enabled:
            self._subscriptions += answer_health(transport, assembly.instance)
        await assembly.health.start()
        if self._state != "starting":
            raise UnavailableError("the service was stopped while it started")
        if assembly.monitor is not None:
            await assembly.monitor.start()
        assembly.membership.join()
        assembly.membership.review()
        self._subscriptions += answer_discovery(transport, assembly.instance)
        on_cancel = assembly.admission.on_cancel
        self._subscriptions.append(transport.subscribe(self.contract.cancel_subject, on_cancel))
        await transport.fence()

    def _begin_stop(self) -> asyncio.Task[None]:
        if self._stopping is None:
            self._stopping = asyncio.create_task(
                self._stop(self._settings.drain_timeout), context=Context()
            )
        return self._stopping

    def _on_signal(self) -> None:
        if self._stopping is None:
            _LOG.info("%s stops on a signal", self.contract.name)
            self._begin_stop()
        else:
            self.abort()

    async def _stop_without_connection(self) -> None:
        """Stop when the connection was closed for good: no request can arrive any more."""
        await self._transport.wait_closed()
        if self._stopping is None:
            _LOG.error("%s stops: its connection to NATS was closed for good", self.contract.name)
            self._lost = ConnectionLostError("the connection to NATS was closed for good")
            await self.stop()

    async def _stop(self, budget: float) -> None:
        self._state = "stopping"
        if self._watch is not None and self._lost is None:
            self._watch.cancel()
        assembly = self._assembly
        try:
            if assembly is not None:
                await assembly.drain(budget)
            await self._transport.unsubscribe(self._subscriptions)
            if self._owns_transport:
                await self._transport.close()
        finally:
            if self._settings.jwks is not None:
                await self._settings.jwks.close()
            if assembly is not None:
                self._handlers.unbind(assembly.binding)
                await assembly.close()
            self._state = "stopped"
            self._stopped.set()
