"""Endpoints, and the base class of generated skeletons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from weenats._internal.validation import check_async
from weenats.codec.keys import key_codec
from weenats.context import RequestContext
from weenats.errors import UnavailableError
from weenats.telemetry.manager import SILENT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from weenats.aggregates.executor import Executor
    from weenats.aggregates.state_codec import StoredAggregate
    from weenats.contract import AnyOperation, Command, Query, ServiceContract
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["Binding", "Endpoint", "ServiceHandlers", "check_handler"]
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
_PayloadHandler = (
    Callable[[Any, PayloadT, RequestContext], Awaitable[ResultT]]
    | Callable[[PayloadT, RequestContext], Awaitable[ResultT]]
)
_PlainHandler = (
    Callable[[Any, RequestContext], Awaitable[ResultT]]
    | Callable[[RequestContext], Awaitable[ResultT]]
)
_KEY: Final = attrgetter("key")


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """An operation and the handler that serves it; generated skeletons return theirs.

    Attributes:
        operation: the command or query.
        handler: an async function that takes the context of a request and returns the result.
    """

    operation: AnyOperation
    handler: Callable[[RequestContext], Awaitable[object]]

    @classmethod
    def command(
        cls,
        operation: Command[PayloadT, ResultT],
        handler: _PayloadHandler[PayloadT, ResultT],
    ) -> Endpoint:
        """Return the endpoint of a command.

        Args:
            operation: the command.
            handler: an async function that takes the key if there is an aggregate, the payload and
                the context.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)
        return cls(operation, _taking_payload(operation, handler))

    @classmethod
    def query(
        cls,
        operation: Query[PayloadT, ResultT],
        handler: _PayloadHandler[PayloadT, ResultT],
    ) -> Endpoint:
        """Return the endpoint of a query with parameters.

        Args:
            operation: the query.
            handler: an async function that takes the key if there is an aggregate, the parameters
                and the context.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)
        return cls(operation, _taking_payload(operation, handler))

    @classmethod
    def plain_query(
        cls,
        operation: Query[None, ResultT],
        handler: _PlainHandler[ResultT],
    ) -> Endpoint:
        """Return the endpoint of a query without parameters.

        Args:
            operation: the query.
            handler: an async function that takes the key if there is an aggregate, and the context.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)
        call: Any = handler
        if operation.aggregate is None:
            return cls(operation, call)
        read = _key_reader(operation)
        return cls(operation, lambda context: call(read(context), context))


@dataclass(slots=True, eq=False, repr=False)
class Binding:
    """The connection of one running instance, as its handlers use it.

    Attributes:
        transport: the connection.
        telemetry: records what the handlers publish.
        executors: what executes the commands and queries of stored aggregates, by their names.
    """

    transport: Transport
    telemetry: TelemetryManager
    executors: Mapping[str, Executor] = field(default_factory=dict[str, "Executor"])


CURRENT_BINDING: Final[ContextVar[Binding | None]] = ContextVar(
    "weenats_current_binding", default=None
)
"""The binding of the instance whose request the running task serves."""


class ServiceHandlers(ABC):
    """The base class of generated skeletons: the handlers of one contract.

    One object serves all requests concurrently, and may serve several running instances; its
    attributes are shared by them.
    """

    contract: ClassVar[ServiceContract]
    """The contract of the service; generated handlers set it."""
    _bindings: tuple[Binding, ...] = ()

    @abstractmethod
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations of the contract with their handlers."""

    def stored_aggregates(self) -> tuple[StoredAggregate, ...]:
        """Return the aggregates that are kept in streams; generated handlers return theirs."""
        return ()

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """Return what surrounds the serving of requests; override it to open what handlers need.

        A service enters it when it is connected, before it takes requests. It leaves it when the
        admitted requests are finished, before its connection is closed, within the drain timeout.
        If entering it raises, the service does not start. If it ends earlier, the service stops.

        It is entered once for each running instance, always in one task. `transport`, `telemetry`,
        the `publish_*` methods, and clients from `ServiceClient.sharing`, work in it. Subscriptions
        to events that are made in it or in handlers end with the service, before it is left.

        Example:
            ```python
            class Receipts(ReceiptsHandlers):
                @override
                @asynccontextmanager
                async def lifespan(self) -> AsyncGenerator[None]:
                    async with await open_pool(DATABASE_URL) as self.pool:
                        yield
            ```
        """
        return nullcontext()

    @property
    def transport(self) -> Transport:
        """The connection that events are published on: that of the current request.

        Outside of a request it is the connection of the only instance that these handlers serve.

        Raises:
            UnavailableError: no running instance serves these handlers.
            RuntimeError: outside of a request, and several instances serve these handlers.
        """
        binding = self._binding()
        if binding is None:
            raise UnavailableError(
                "no running service serves these handlers: start one of a NatsServiceBuilder"
            )
        return binding.transport

    @property
    def telemetry(self) -> TelemetryManager:
        """The telemetry of the current request's service, for spans of your own.

        It records nothing when the service has no telemetry or does not run.

        Raises:
            RuntimeError: outside of a request, and several instances serve these handlers.
        """
        binding = self._binding()
        return SILENT if binding is None else binding.telemetry

    def bind(self, binding: Binding) -> None:
        """Add the `binding` of an instance that serves these handlers."""
        self._bindings = (*self._bindings, binding)

    def unbind(self, binding: Binding) -> None:
        """Remove the `binding` of an instance that has stopped."""
        self._bindings = tuple(each for each in self._bindings if each is not binding)

    def _binding(self) -> Binding | None:
        current = CURRENT_BINDING.get()
        if current in self._bindings:
            return current
        if len(self._bindings) > 1:
            raise RuntimeError(
                "these handlers serve several connections: outside of a request, publish with"
                " weenats.events.publish(transport, ...)"
            )
        return self._bindings[0] if self._bindings else None


def check_handler(operation: AnyOperation, handler: object) -> None:
    """Raise TypeError if the `handler` of an `operation` is not async."""
    check_async(handler, f"the handler of {operation.contract.name} {operation.name}")


def _taking_payload(
    operation: AnyOperation, handler: _PayloadHandler[PayloadT, ResultT]
) -> Callable[[RequestContext], Awaitable[ResultT]]:
    # The payload has been checked to be what the operation takes, and the key too.
    call: Any = handler
    if operation.aggregate is None:
        return lambda context: call(context.payload, context)
    read = _key_reader(operation)
    return lambda context: call(read(context), context.payload, context)


def _key_reader(operation: AnyOperation) -> Callable[[RequestContext], Any]:
    """Return the function that gives handlers their key, of the type in the contract."""
    keys = key_codec(operation.aggregate)
    return _KEY if keys.is_plain else lambda context: keys.read(context.key)
