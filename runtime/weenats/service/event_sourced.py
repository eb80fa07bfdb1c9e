"""The base class of handlers whose aggregates are kept in streams, and their endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from weenats.aggregates.decision import Decision, Emission
from weenats.aggregates.state_codec import StoredAggregate
from weenats.context import RequestContext
from weenats.errors import NotFoundError, UnavailableError
from weenats.protocol import headers as header_names
from weenats.service.handlers import CURRENT_BINDING, Endpoint, ServiceHandlers, check_handler

if TYPE_CHECKING:
    from weenats.aggregates.executor import Executor
    from weenats.contract import AnyOperation, Command, Entity, Query

__all__ = ["EventSourcedHandlers", "StoredAggregate", "StoredEndpoint"]
PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
_Decide = Callable[["Entity[Any] | None", PayloadT, RequestContext], Awaitable[Decision[ResultT]]]
_Answer = Callable[["Entity[Any] | None", PayloadT, RequestContext], Awaitable[ResultT]]
_PlainAnswer = Callable[["Entity[Any] | None", RequestContext], Awaitable[ResultT]]


class EventSourcedHandlers(ServiceHandlers):
    """The base class of generated skeletons with aggregates that are kept in streams.

    The handlers of their commands decide, and change nothing: they return `self.emit(...)`, or
    `self.reply(...)`, or raise an error of the contract.
    """

    @staticmethod
    def emit(*events: object) -> Emission:
        """Return the decision to emit events, to which `reply` adds the result of the command.

        Args:
            events: the data of each event, or `EVENT.with_data(...)` where several events have data
                of one type.

        Example:
            ```python
            async def add_item(self, state, command, context):
                return self.emit(ItemAdded(name=command.name)).reply_state()
            ```
        """
        return Emission(events, None)

    @staticmethod
    def reply(result: ResultT) -> Decision[ResultT]:
        """Return the decision to emit nothing, and to reply with a result.

        Args:
            result: the result of the command.
        """
        return Decision((), result)


class StoredEndpoint:
    """Makes endpoints of the operations of aggregates that are kept in streams."""

    @staticmethod
    def decision(
        operation: Command[PayloadT, ResultT], handler: _Decide[PayloadT, ResultT]
    ) -> Endpoint:
        """Return the endpoint of a command.

        Args:
            operation: the command.
            handler: an async function that takes the state, the payload and the context, and
                returns a decision.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)
        return Endpoint(operation, lambda context: _executor(operation).execute(context, handler))

    @staticmethod
    def query(operation: Query[PayloadT, ResultT], handler: _Answer[PayloadT, ResultT]) -> Endpoint:
        """Return the endpoint of a query with parameters.

        Args:
            operation: the query.
            handler: an async function that takes the state, the parameters and the context.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)

        async def answer(context: RequestContext) -> object:
            entity = await _executor(operation).entity(context)
            payload: Any = context.payload
            return await handler(entity, payload, context)

        return Endpoint(operation, answer)

    @staticmethod
    def plain_query(operation: Query[None, ResultT], handler: _PlainAnswer[ResultT]) -> Endpoint:
        """Return the endpoint of a query without parameters.

        Args:
            operation: the query.
            handler: an async function that takes the state and the context.

        Raises:
            TypeError: the handler is not async.
        """
        check_handler(operation, handler)

        async def answer(context: RequestContext) -> object:
            return await handler(await _executor(operation).entity(context), context)

        return Endpoint(operation, answer)

    @staticmethod
    def get(operation: Query[None, Any]) -> Endpoint:
        """Return the endpoint of the query `get`, which needs no handler.

        Args:
            operation: the query. When the aggregate has no events, it fails with the NOT_FOUND
                that it declares, if there is one without details.
        """
        missing = next(
            (
                error
                for error in operation.errors
                if issubclass(error, NotFoundError) and error.details_type is None
            ),
            NotFoundError,
        )

        async def answer(context: RequestContext) -> object:
            executor, headers = _executor(operation), context.headers
            if header_names.AT_REVISION in headers or header_names.AT_TIME in headers:
                entity = await executor.earlier_entity(context)
            else:
                entity = await executor.entity(context)
            if entity is None:
                raise missing
            return entity

        return Endpoint(operation, answer)


def _executor(operation: AnyOperation) -> Executor:
    """Return what the running instance keeps the aggregate of an operation with."""
    binding, aggregate = CURRENT_BINDING.get(), operation.aggregate
    if binding is None or aggregate is None or aggregate.name not in binding.executors:
        raise UnavailableError(
            f"no running service serves {operation.label}: start one of a NatsServiceBuilder"
        )
    return binding.executors[aggregate.name]
