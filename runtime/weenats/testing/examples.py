"""Contract tests of handlers: they answer examples with what the contract allows."""

from __future__ import annotations

import asyncio
import unittest
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json
from typing_extensions import override

from weenats.client import ServiceClient
from weenats.codec.parts import Decoder
from weenats.contract import Command
from weenats.errors import ServiceError, UnavailableError, UnimplementedError
from weenats.principal import Principal
from weenats.schema.part import declared_type
from weenats.service import NatsServiceBuilder
from weenats.testing.memory_transport import MemoryTransport
from weenats.testing.nats_server import NatsServer, NatsServerError
from weenats.transport.jetstream import StreamMissingError
from weenats.transport.nats import NatsTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pydantic import JsonValue

    from weenats.contract import AnyOperation
    from weenats.schema.part import Schema
    from weenats.service import ServiceHandlers
    from weenats.transport.base import Transport

__all__ = ["Example", "check_example"]
_READY_AFTER: Final = 5.0
_PAUSE: Final = 0.05
_TOKEN: Final = "example"  # noqa: S105 - any token is accepted
_OTHERS: Final = (
    "a service that reads the durable events of another one is tested together with it: pass the"
    " handlers of the other one, check_example(Billing(), example, Orders())"
)


@dataclass(frozen=True, slots=True)
class Example:
    """What a client sends.

    Attributes:
        operation: the operation.
        key: the key as in messages; None for an operation of the service itself.
        payload: the payload or the parameters as JSON; None without them.
    """

    operation: AnyOperation
    key: str | None = None
    payload: JsonValue = None

    @override
    def __str__(self) -> str:
        """Return the name of the operation, the id of the test."""
        return self.operation.label


def check_example(handlers: ServiceHandlers, example: Example, *others: ServiceHandlers) -> None:
    """Call an operation in memory, and check that the answer is one that the contract allows.

    Tokens are not checked: the caller has the scopes that the operation requires. Services with
    durable events, or an aggregate that is kept in a stream, run on a NatsServer, which needs the
    extra `server`. A query that is UNAVAILABLE is sent again for up to five seconds: the view of a
    projection is complete a moment after the start.

    Args:
        handlers: the handlers; their `lifespan` is entered.
        example: what is sent.
        others: the handlers of other services, which the handlers call or whose durable events
            they read.

    Raises:
        AssertionError: the answer is an error that the operation does not declare. A result that
            does not match the contract is INTERNAL.
        unittest.SkipTest: the operation is not implemented, or there is no nats-server; pytest
            skips the test.
        ValueError: the example itself does not match the contract.
    """
    asyncio.run(_check(handlers, example, others))


async def _check(
    handlers: ServiceHandlers, example: Example, others: Sequence[ServiceHandlers]
) -> None:
    operation = example.operation
    payload = _decoded(operation.payload, example.payload)
    key = None if operation.aggregate is None else _decoded(operation.aggregate.key, example.key)
    kind = type("ExampleClient", (ServiceClient,), {"contract": operation.contract})
    validator = _AnyToken(frozenset(() if operation.auth is None else operation.auth.scopes))
    async with AsyncExitStack() as stack:
        services = (*others, handlers)
        transport = await _transport(stack, services)
        for each in services:
            _demand_nothing(each)
            builder = NatsServiceBuilder(each, transport=transport)
            builder = builder.with_auth(validator=validator, required=False)
            if each.contract.streams and isinstance(transport, NatsTransport):
                builder = builder.with_streams("apply")
            try:
                await stack.enter_async_context(builder.build())
            except StreamMissingError as error:
                error.add_note(_OTHERS)
                raise
        client = await stack.enter_async_context(kind(transport).with_token(_TOKEN))
        call: Callable[..., Any] = (
            client.execute if isinstance(operation, Command) else client.query
        )
        try:
            await _answered(call, operation, key, payload)
        except UnimplementedError:
            raise unittest.SkipTest(f"{operation.label} is not implemented yet") from None
        except operation.errors:
            return
        except ServiceError as error:
            declared = ", ".join(sorted(each.__name__ for each in operation.errors)) or "none"
            raise AssertionError(
                f"{operation.label} answers {error}; the errors that it declares: {declared}"
            ) from error


async def _answered(
    call: Callable[..., Awaitable[object]], operation: AnyOperation, key: object, payload: object
) -> None:
    """Call an operation; a query is called again while it is unexpectedly UNAVAILABLE."""
    until = monotonic() + _READY_AFTER
    while True:
        try:
            await call(operation, key, payload)
        except operation.errors:
            raise
        except UnavailableError:
            if isinstance(operation, Command) or monotonic() >= until:
                raise
            await asyncio.sleep(_PAUSE)
        else:
            return


async def _transport(stack: AsyncExitStack, services: Sequence[ServiceHandlers]) -> Transport:
    """Return a transport on which services run: in memory if none of them needs JetStream."""
    is_stored = any(each.stored_aggregates() for each in services)
    if not is_stored and not any(each.contract.streams for each in services):
        return MemoryTransport()
    try:
        server = stack.enter_context(NatsServer())
    except NatsServerError as error:
        if not is_stored:
            return MemoryTransport()  # it acknowledges durable events
        raise unittest.SkipTest(str(error)) from None
    transport = NatsTransport(server.url)
    stack.push_async_callback(transport.close)
    return transport


def _demand_nothing(handlers: ServiceHandlers) -> None:
    """Let a service start on one server, whatever durability its contract demands."""
    contract = handlers.contract
    streams = tuple(replace(each, replicas=1) for each in contract.streams)
    vars(handlers)["contract"] = replace(contract, durability=None, streams=streams)


def _decoded(kind: type[Any] | Schema[Any], value: JsonValue) -> Any:  # noqa: ANN401 - any type
    if value is None and declared_type(kind) is type(None):
        return None
    return Decoder(declared_type(kind), kind, ()).decode(to_json(value))


class _AnyToken:
    """Accepts every token."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self._scopes = scopes

    async def validate(self, token: str) -> Principal:
        """Return a caller with some scopes."""
        return Principal(id=token, scopes=self._scopes)
