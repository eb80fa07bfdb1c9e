"""The mock of a service: answers from examples, with latency and errors on demand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import from_json, to_json

from weenats.auth import Principal
from weenats.codec.parts import Decoder, Encoder
from weenats.events import publish
from weenats.schema.part import declared_type
from weenats.service import Endpoint, NatsServiceBuilder
from weenats_codegen.loading import read
from weenats_codegen.mock.package import import_package
from weenats_codegen.naming import labels_meant
from weenats_codegen.parser.diagnostics import did_you_mean
from weenats_codegen.samples.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from pydantic import JsonValue

    from weenats.context import RequestContext
    from weenats.contract import AnyOperation
    from weenats.errors import ServiceError
    from weenats.service import ServiceHandlers
    from weenats_codegen.ir.contract import Aggregate, Contract, Event, Operation


class Call(NamedTuple):
    """A call that a mock has answered.

    Attributes:
        operation: The name of the operation, such as `add-item` or `order.get`.
        key: The key; None for operations of the service itself.
        payload: The payload as JSON; None without one.
    """

    operation: str
    key: str | None
    payload: JsonValue


class Mock:
    """A service that answers from the examples of its contract, else with values that fit.

    Requests are checked as the real service checks them. Commands publish the events that they
    emit. A key that is the name of an error of the operation is answered with this error. Any token
    is accepted, with the scopes that the contract requires.

    Example:
        ```python
        async with mock.serve(nats.url), ReceiptsClient.connect(nats.url) as receipts:
            mock.fail("finalize", "empty-receipt")
        ```

    Attributes:
        contract: The contract.
        latency: Seconds that each answer takes.
        calls: The calls so far, in the order in which they came.
    """

    def __init__(self, folder: Path, *, latency: float = 0.0, keeps_calls: bool = True) -> None:
        """Initialize a mock that nobody can call yet.

        Args:
            folder: The contract's folder.
            latency: Seconds that each answer takes.
            keeps_calls: Whether calls are kept; their number has no limit.

        Raises:
            ContractError: The contract is invalid, or there is none.
            ValueError: The latency is negative.
        """
        if latency < 0:
            raise ValueError(f"latency is 0 seconds or more, not {latency}")
        self.contract: Final[Contract] = read(folder)
        self.latency = latency
        self.calls: list[Call] = []
        self._keeps_calls: Final = keeps_calls
        # The servers of a mock need not keep what it stores as the contract demands.
        self._package: Final = import_package(replace(self.contract, durability=None))
        self._sampler: Final = Sampler(self.contract.bundle)
        self._answers: Final[dict[str, JsonValue]] = {}
        self._errors: Final[dict[str, tuple[str, JsonValue]]] = {}
        self._operations: Final = {each.label: each for each in self.contract.operations}

    def answer(self, operation: str, result: JsonValue) -> None:
        """Answer an operation with a result from now on.

        Args:
            operation: The name of the operation.
            result: The result as JSON; for `get` the state.

        Raises:
            ValueError: There is no such operation, or the result does not match the contract.
        """
        found = self._operation(operation)
        self._result(found, result, "k-1")
        self._errors.pop(found.label, None)
        self._answers[found.label] = result

    def fail(self, operation: str, error: str, details: JsonValue = None) -> None:
        """Answer an operation with a declared error from now on.

        Args:
            operation: The name of the operation.
            error: The name of the error.
            details: The details as JSON; by default those of an example.

        Raises:
            ValueError: There is no such operation, or it does not declare such an error; or the
                details do not match the contract.
        """
        found = self._operation(operation)
        known = [each.name for each in found.errors]
        if error not in known:
            hint = did_you_mean(error, known)
            raise ValueError(f"{found.label} declares no error {error}; {hint}")
        self._error(error, details)
        self._errors[found.label] = error, details

    def reset(self) -> None:
        """Answer all operations from the contract again; forget the calls."""
        self._errors.clear()
        self._answers.clear()
        self.calls.clear()

    def builder(self, servers: str | Sequence[str]) -> NatsServiceBuilder:
        """Return the builder of the service, to which features may be added.

        Args:
            servers: The NATS servers.
        """
        builder = NatsServiceBuilder(self._handlers(), servers)
        auth = [each.auth for each in self.contract.operations if each.auth is not None]
        if any(each.required for each in auth):
            scopes = frozenset(scope for each in auth for scope in each.scopes)
            builder = builder.with_auth(validator=_AnyToken(scopes), required=False)
        return builder

    @asynccontextmanager
    async def serve(self, servers: str | Sequence[str]) -> AsyncGenerator[Mock]:
        """Serve the contract until the end of the block.

        Args:
            servers: The NATS servers.
        """
        async with self.builder(servers).build():
            yield self

    def _operation(self, name: str) -> Operation:
        meant = labels_meant(name, self._operations)
        if len(meant) != 1:
            hint = did_you_mean(name, self._operations)
            raise ValueError(f"{self.contract.service} has no operation {name}; {hint}")
        return self._operations[meant[0]]

    def _handlers(self) -> ServiceHandlers:
        base = getattr(self._package, self.contract.handlers)
        methods = {each.method: self._handler(each) for each in self.contract.operations}
        if self.contract.stored:  # a mock keeps nothing
            methods |= dict.fromkeys(base.__abstractmethods__ - methods.keys(), _unused)
            methods["stored_aggregates"] = _no_aggregates
            methods["endpoints"] = self._endpoints()
        # A server that is alone has no replicas.
        alone = tuple(replace(each, replicas=1) for each in base.contract.streams)
        methods["contract"] = replace(base.contract, streams=alone)
        handlers: ServiceHandlers = type(f"Mock{self.contract.handlers}", (base,), methods)()
        return handlers

    def _endpoints(self) -> Callable[[Any], tuple[Endpoint, ...]]:
        """Return a method whose endpoints take a key, also for aggregates kept in streams."""

        def endpoints(handlers: Any) -> tuple[Endpoint, ...]:
            return tuple(
                getattr(Endpoint, _kind_of(each, self.contract))(
                    getattr(self._package, each.constant), getattr(handlers, each.method)
                )
                for each in self.contract.operations
            )

        return endpoints

    def _handler(self, operation: Operation) -> Callable[..., Any]:
        descriptor: AnyOperation = getattr(self._package, operation.constant)
        has_key, has_payload = operation.aggregate is not None, bool(operation.payload)

        async def handle(handlers: Any, *arguments: Any) -> Any:
            values = list(arguments)
            context: RequestContext = values.pop()
            key = values.pop(0) if has_key else None
            text = None if key is None else str(context.key)
            if self._keeps_calls:
                payload: JsonValue = None
                if has_payload:
                    payload = from_json(Encoder(descriptor.payload).encode(values[0]))
                self.calls.append(Call(operation.label, text, payload))
            await asyncio.sleep(self.latency)
            if operation.label in self._errors:
                raise self._error(*self._errors[operation.label])  # each with its own traceback
            if text in {error.name for error in operation.errors}:
                raise self._error(str(text), None)
            result = self._result(operation, self._answer(operation), text)
            for event in operation.emits:
                await self._publish(handlers, event, operation.aggregate, key)
            return result

        return handle

    def _answer(self, operation: Operation) -> JsonValue:
        """Return the result of an operation as JSON."""
        if operation.label in self._answers:
            return self._answers[operation.label]
        name = operation.result
        if name == "None":
            return None
        if name.startswith("Entity[") and operation.aggregate is not None:
            name = operation.aggregate.state
        value = self._value(name)
        if operation.item and isinstance(value, dict):  # a mock has one page
            return {key: part for key, part in value.items() if key != "nextCursor"}
        return value

    def _value(self, name: str) -> JsonValue:
        values = self._sampler.definition(name)
        if not values:
            raise ValueError(f"no value could be made for {name}: add examples to its schema")
        return values[0]

    def _result(self, operation: Operation, value: JsonValue, key: str | None) -> Any:
        """Return a result as the handlers return it.

        Raises:
            ValueError: The result does not match the contract.
        """
        descriptor: Any = getattr(self._package, operation.constant)
        if operation.result == "None":
            if value is not None:
                raise ValueError(f"{operation.label} has no result")
            return None
        if operation.aggregate is None or not operation.result.startswith("Entity["):
            return _decoded(descriptor.result, value)
        entity: JsonValue = {
            "id": {"type": operation.aggregate.name, "key": key},
            "state": value,
            "revision": 1,
        }
        return _decoded(descriptor.result, entity, ("state",))

    async def _publish(
        self, handlers: Any, event: Event, aggregate: Aggregate | None, key: Any
    ) -> None:
        """Publish an example of an event, if its key is known."""
        data = _decoded(getattr(self._package, event.constant).data, self._value(event.data))
        if event.aggregate in {None, aggregate}:
            descriptor = getattr(self._package, event.constant)
            key = None if event.aggregate is None else key
            await publish(handlers.transport, descriptor, key, data, handlers.telemetry)

    def _error(self, name: str, details: JsonValue) -> ServiceError:
        declared = next(each for each in self.contract.errors if each.name == name)
        kind: type[ServiceError] = getattr(self._package, declared.class_name)
        if not declared.details:
            if details is not None:
                raise ValueError(f"{name} has no details")
            return kind()
        value = self._value(declared.details) if details is None else details
        return kind(details=_decoded(kind.details_type, value))


def _kind_of(operation: Operation, contract: Contract) -> str:
    """Return the constructor of the endpoint of an operation."""
    if operation in contract.commands:
        return "command"
    return "query" if operation.payload else "plain_query"


def _no_aggregates(_: object) -> tuple[()]:
    """Return the stored aggregates of a mock."""
    return ()


def _unused(*_: object) -> None:
    """Stand in for a method that a mock does not call."""


class _AnyToken:
    """Accepts every token."""

    def __init__(self, scopes: frozenset[str]) -> None:
        self._scopes = scopes

    async def validate(self, token: str) -> Principal:
        """Return a caller with all scopes."""
        del token
        return Principal(id="mock", scopes=self._scopes)


def _decoded(kind: Any, value: JsonValue, path: tuple[str, ...] = ()) -> Any:
    return Decoder(declared_type(kind), kind, path).decode(to_json(value))
