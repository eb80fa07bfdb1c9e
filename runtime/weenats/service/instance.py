"""One running instance of a service: how it starts, serves and stops."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from contextvars import Context
from time import monotonic
from typing import TYPE_CHECKING, Final, Self, cast

from weenats._internal.tasks import cancel_and_wait, start_task
from weenats._internal.uncopyable import Uncopyable
from weenats.admission.scope import SCOPE
from weenats.context import CURRENT, RequestContext
from weenats.errors import ConnectionLostError, UnavailableError
from weenats.protocol import subjects
from weenats.protocol.identifiers import STAMPER
from weenats.service.assembly import Assembly
from weenats.service.contract_document import answer_contract
from weenats.service.discovery import answer_discovery, answer_health
from weenats.service.event_loop import event_loop_name
from weenats.service.instance_calls import answer_instance_calls
from weenats.service.lifespan import Lifespan
from weenats.service.signals import StopSignals
from weenats.service.threads import use_handler_threads
from weenats.telemetry.gauges import OF_SERVICES, observe
from weenats.telemetry.semconv import DRAINING, INSTANCE, SERVICE
from weenats.transport.event_loop import check_event_loop
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weenats.auth import JwksState
    from weenats.service.handlers import ServiceHandlers
    from weenats.service.settings import ServiceSettings
    from weenats.streams import StreamPlan
    from weenats.transport.base import Subscription

__all__ = ["NatsService"]
_LOG: Final = logging.getLogger("weenats.service")
_GRACE: Final = 0.5
"""Seconds that closing has when the drain timeout is spent."""
_INIT: Final = 1
"""The id of the first process of a container, which signals do not end by default."""


class NatsService(Uncopyable):
    """One running instance of a service; `async with` starts and stops it.

    It belongs to the event loop that started it: use on another one raises WrongEventLoopError.

    Attributes:
        contract: the contract of the service.
        instance_id: the id of this instance, a ULID.
    """

    def __init__(self, handlers: ServiceHandlers, settings: ServiceSettings) -> None:
        self.contract = handlers.contract
        self.instance_id = STAMPER.new_id()
        self._handlers = handlers
        self._settings = settings
        self._own = (
            None
            if settings.transport is not None
            else NatsTransport(settings.servers, settings.connection)
        )
        self._transport = settings.transport or cast("NatsTransport", self._own)
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._assembly: Assembly | None = None
        self._lifespan: Lifespan | None = None
        self._subscriptions: list[Subscription] = []
        self._state = "new"
        self._signals: StopSignals | None = None
        self._starting: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._lost: ConnectionLostError | None = None
        self._ended: Exception | None = None

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

    @property
    def lifespan_error(self) -> Exception | None:
        """What the lifespan of the handlers raised, when it was entered, ended or left; or None."""
        return None if self._lifespan is None else self._lifespan.error

    def gauges(self) -> Mapping[str, float]:
        """Return the current values of the gauges, by their names; none unless it runs."""
        if self._assembly is None or self._state not in {"serving", "stopping"}:
            return {}
        return {DRAINING: int(self._state == "stopping"), **self._assembly.gauges()}

    async def start(self) -> None:
        """Connect, enter the lifespan of the handlers, run the health checks, and subscribe.

        Then requests reach this instance.

        Meanwhile SIGTERM stops it, unless the application handles SIGTERM. `asyncio.to_thread` of
        handlers gets threads that do not keep the process; see the guide to deployment.

        Raises:
            UnavailableError: NATS cannot be reached, or the service was stopped meanwhile.
            PermissionDeniedError: NATS refused the credentials or a subject.
            OSError: the address of HTTP probes cannot be used.
            Exception: what the lifespan of the handlers raised, which is logged too.
            RuntimeError: the instance was started before.
        """
        if self._state != "new":
            raise RuntimeError("a service can be started only once; build another one")
        self._state = "starting"
        self._loop = asyncio.get_running_loop()
        if os.getpid() != self._process:  # forked since it was built
            self.instance_id = STAMPER.new_id()
        use_handler_threads(self._loop)
        self._signals = StopSignals(self._on_signal, unhandled=True).__enter__()
        self._starting = start_task(self._start())
        try:
            await asyncio.wait([self._starting])
        except asyncio.CancelledError:
            await asyncio.shield(self._begin_stop(budget=0))
            raise
        if self._stopping is not None:
            await asyncio.shield(self._stopping)
            if self.lifespan_error is not None:
                raise self.lifespan_error
            raise UnavailableError("the service was stopped while it started")
        error = (
            asyncio.CancelledError() if self._starting.cancelled() else self._starting.exception()
        )
        if error is not None:
            await asyncio.shield(self._begin_stop(budget=0))
            raise error
        self._serve()

    async def _start(self) -> None:
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
        await self._prepare_streams()
        if assembly.aggregates is not None:
            await assembly.aggregates.start(may_create=self._settings.streams != "check")
        await assembly.start()
        self._handlers.bind(assembly.binding)
        await self._subscribe(assembly)

    async def _prepare_streams(self) -> None:
        """Create or compare the streams of durable events, as `with_streams` says."""
        if not self.contract.streams:
            return
        from weenats.streams import (  # noqa: PLC0415 - few services have durable events
            apply_streams,
            check_streams,
            plan_streams,
        )

        streams = self.contract.streams
        # Instances of a newer version may run, with other events and higher limits.
        plans = await plan_streams(self._transport, streams, keep_more=True)
        if self._settings.streams is not None:
            for plan in plans:
                _log_kept(plan)
        if self._settings.streams == "check":
            check_streams(plans, self.contract.name)
            return
        if self._settings.streams is None:
            plans = [each for each in plans if each.action == "create"]
        await apply_streams(self._transport, plans)

    def _serve(self) -> None:
        assembly = cast("Assembly", self._assembly)
        self._state = "serving"
        if os.getpid() != _INIT:
            # Later, so that no signal is lost before `wait_until_stopped` is called.
            asyncio.get_running_loop().call_soon(self._release_signals)
        self._watch = start_task(self._stop_without_connection(), context=Context())
        if self._settings.telemetry is not None:
            attributes = {SERVICE: self.contract.name, INSTANCE: self.instance_id}
            observe(self, assembly.telemetry, OF_SERVICES, {**attributes})
        loop = event_loop_name(asyncio.get_running_loop())
        name, version = self.contract.name, self.contract.version
        _LOG.info("%s %s serves as %s on %s", name, version, self.instance_id, loop)

    async def stop(self) -> None:
        """Leave the queue group, finish the admitted requests, and leave the lifespan.

        Then the connection is closed. Requests that are not finished within the drain timeout fail
        with UNAVAILABLE. What the lifespan raises is logged, see `lifespan_error`. Further calls
        wait for the first stop. A `start` that still runs raises UnavailableError. In a handler, a
        health check or the lifespan of this instance it returns at once, and the stop goes on when
        that has ended.

        Raises:
            WrongEventLoopError: the service runs on another event loop.
        """
        self._check_loop()
        stopping = self._begin_stop(self._settings.drain_timeout)
        if not self._serves_caller():
            await asyncio.shield(stopping)

    def abort(self) -> None:
        """Cut a stop short: requests that are not finished fail with UNAVAILABLE now.

        When they are finished already, the lifespan that is being left is cancelled.

        Raises:
            WrongEventLoopError: the service runs on another event loop.
        """
        self._check_loop()
        if self._assembly is not None:
            self._assembly.abort()
        if self._lifespan is not None:
            self._lifespan.abort()

    async def wait_until_stopped(self) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP arrives, or `stop` is called.

        A second signal cuts the stop short.

        Raises:
            ConnectionLostError: the service stopped because its connection was closed for good.
            Exception: the service stopped because the lifespan of its handlers raised this.
            WrongEventLoopError: the service runs on another event loop.
            RuntimeError: a handler, a health check or the lifespan of this instance calls it, for
                which the stop would wait.
        """
        self._check_loop()
        if self._serves_caller():
            raise RuntimeError(
                f"{self.contract.name} cannot stop while its handler, health check or lifespan"
                " waits for that: call wait_until_stopped() in the program that started the service"
            )
        with StopSignals(self._on_signal):
            await self._stopped.wait()
            if self._stopping is not None:
                await asyncio.shield(self._stopping)
        error = self._lost or self._ended
        if error is not None:
            raise error

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _subscribe(self, assembly: Assembly) -> None:
        """Subscribe to health requests, and after lifespan and first checks to all others."""
        transport, health = self._transport, self._settings.health
        if health is None or health.enabled:
            self._subscriptions += answer_health(transport, assembly.instance)
        self._lifespan = Lifespan(
            self._handlers, assembly.scope.variables, self._on_lifespan_end, self._loop_ends
        )
        await self._lifespan.enter()
        await assembly.health.start()
        if assembly.monitor is not None:
            await assembly.monitor.start()
        assembly.membership.join()
        assembly.membership.review()
        self._subscriptions += answer_discovery(transport, assembly.instance)
        name, on_contract = self.contract.name, answer_contract(transport, self.contract)
        self._subscriptions += [
            transport.subscribe(subjects.contract(name), on_contract, name),
            answer_instance_calls(transport, name, self.instance_id, assembly.runners, on_contract),
        ]
        on_cancel = assembly.admission.on_cancel
        self._subscriptions.append(transport.subscribe(self.contract.cancel_subject, on_cancel))
        await transport.fence()

    def _check_loop(self) -> None:
        if self._loop is not None:  # it was started
            check_event_loop(self._loop)

    def _serves_caller(self) -> bool:
        """Return whether the stop waits for the caller: a handler, a check, or the lifespan."""
        if self._assembly is None or SCOPE.get() is not self._assembly.scope:
            return False
        context = CURRENT.get()
        if not isinstance(context, RequestContext):
            return True
        running = self._assembly.admission.running
        return context._work in running  # pyright: ignore[reportPrivateUsage]

    def _begin_stop(self, budget: float) -> asyncio.Task[None]:
        if self._stopping is None:
            self._stopping = start_task(self._stop(budget), context=Context())
        return self._stopping

    def _release_signals(self) -> None:
        if self._signals is not None:
            self._signals.__exit__()

    def _on_signal(self) -> None:
        if self._stopping is None:
            _LOG.info("%s stops on a signal", self.contract.name)
            self._begin_stop(self._settings.drain_timeout)
        else:
            self.abort()

    def _on_lifespan_end(self) -> None:
        """Stop when the lifespan has ended although the service starts or serves."""
        if self._stopping is None:
            self._ended = self.lifespan_error
            self._begin_stop(self._settings.drain_timeout)

    def _loop_ends(self) -> bool:
        """Return whether `asyncio.run` cancels all tasks, since nobody has stopped the service.

        A stop that began then would not end: asyncio waits for those tasks alone.
        """
        is_cancelled = self._watch is not None and self._watch.cancelling() > 0
        return is_cancelled and self._stopping is None

    async def _stop_without_connection(self) -> None:
        """Stop when the connection was closed for good: no request can arrive any more."""
        await self._transport.wait_closed()
        if self._stopping is None:
            _LOG.error("%s stops: its connection to NATS was closed for good", self.contract.name)
            self._lost = ConnectionLostError("the connection to NATS was closed for good")
            await self.stop()

    async def _stop(self, budget: float) -> None:
        self._state = "stopping"
        end = monotonic() + budget
        await cancel_and_wait(self._starting)
        if self._watch is not None and self._lost is None:
            self._watch.cancel()
        assembly = self._assembly
        try:
            if assembly is not None:
                await assembly.drain(max(end - monotonic(), 0))
            if self._lifespan is not None:
                # Also of a start that failed, which has no budget for requests.
                left = max(end - monotonic(), 0) if budget else self._settings.drain_timeout
                await self._lifespan.leave(left)
            end = max(end, monotonic() + _GRACE)
            if assembly is not None:
                await assembly.close_features(end - monotonic())
            await self._disconnect(end)
        finally:
            if self._settings.jwks is not None:
                await self._settings.jwks.close()
            if assembly is not None:
                self._handlers.unbind(assembly.binding)
                await assembly.close(max(end - monotonic(), 0))
            self._release_signals()
            self._state = "stopped"
            self._stopped.set()

    async def _disconnect(self, end: float) -> None:
        """Unsubscribe, and close the connection if it is the service's own, until `end`."""
        if self._subscriptions:
            with suppress(TimeoutError):
                async with asyncio.timeout(end - monotonic()):
                    await self._transport.unsubscribe(self._subscriptions)
        if self._own is not None:
            await self._own.close(max(end - monotonic(), 0))


def _log_kept(plan: StreamPlan) -> None:
    """Log what a stream has more of than the contract demands."""
    if plan.kept:
        kept = "; ".join(f"{each.setting}: {each.before}, not {each.after}" for each in plan.kept)
        _LOG.warning("%s has more than the contract demands, and keeps it: %s", plan.name, kept)
