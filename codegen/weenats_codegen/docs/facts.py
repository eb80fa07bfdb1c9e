"""What documents say about operations and events: subjects, keys, examples, calls."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats.protocol import subjects
from weenats.protocol.subjects import Kind
from weenats_codegen.ir.bundle import references
from weenats_codegen.ir.contract import Operation
from weenats_codegen.samples.expressions import Expression, Expressions
from weenats_codegen.samples.sampler import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats_codegen.ir.contract import Aggregate, Contract, Event


class Exchange(NamedTuple):
    """An example of a call.

    Attributes:
        key: The key; None for operations of the service itself.
        payloads: Examples of the payload; none if there is no payload.
        results: Examples of the result; none if there is no result.
    """

    key: str | None
    payloads: list[JsonValue]
    results: list[JsonValue]


class Facts:
    """What can be said about a contract besides what it says itself."""

    def __init__(self, contract: Contract) -> None:
        """Initialize the facts of a contract.

        Args:
            contract: The contract.
        """
        self.contract: Final = contract
        self.sampler: Final = Sampler(contract.bundle)
        self._expressions: Final = Expressions(contract, self.sampler)
        self.referenced: Final = {
            name for schema in contract.bundle.definitions.values() for name in references(schema)
        }
        self._commands: Final = {command.label for command in contract.commands}

    def is_command(self, operation: Operation) -> bool:
        """Return whether an operation is a command, not a query."""
        return operation.label in self._commands

    def subject(self, member: Operation | Event) -> str:
        """Return the subject of an operation or an event."""
        kind = Kind.EVENT
        if isinstance(member, Operation):
            kind = Kind.COMMAND if self.is_command(member) else Kind.QUERY
        aggregate = None if member.aggregate is None else member.aggregate.name
        return subjects.build(self.contract.service, kind, aggregate, member.name)

    def state(self, operation: Operation) -> str:
        """Return the definition of the state that an operation returns, "" for other results."""
        if operation.result.startswith("Entity[") and operation.aggregate is not None:
            return operation.aggregate.state
        return ""

    def result(self, operation: Operation) -> str:
        """Return the definition of the result, that of the state included; "" without a result."""
        return self.state(operation) or ("" if operation.result == "None" else operation.result)

    def exchange(self, operation: Operation) -> Exchange:
        """Return an example of a call."""
        result = self.result(operation)
        return Exchange(
            self.key(operation.aggregate),
            self.sampler.definition(operation.payload) if operation.payload else [],
            self.sampler.definition(result) if result else [],
        )

    def key(self, aggregate: Aggregate | None) -> str | None:
        """Return an example of a key of an aggregate, None without an aggregate."""
        return None if aggregate is None else self.sampler.key(aggregate)

    def shell(self, operation: Operation) -> str:
        """Return the command that calls an operation."""
        exchange = self.exchange(operation)
        arguments = [] if exchange.key is None else [exchange.key]
        if exchange.payloads:
            arguments.append(json.dumps(exchange.payloads[0], ensure_ascii=False))
        if any(each.startswith("-") for each in arguments):
            arguments.insert(0, "--")  # a negative number is not an option
        return shlex.join(["weenats", "call", self.contract.service, operation.label, *arguments])

    def python(self, operation: Operation) -> str:
        """Return a program that calls an operation with the generated client."""
        contract, arguments = self.contract, [*self._arguments(operation)]
        standard = sorted({each.standard for each in arguments if each.standard})
        models = sorted([contract.client, *{model for each in arguments for model in each.models}])
        imports = [*standard, *([""] if standard else [])]
        imports.append(f"from {contract.package} import {', '.join(models)}")
        call = f"await client.{operation.method}({', '.join(each.source for each in arguments)})"
        return (
            "\n".join(imports) + "\n\n"
            f'async with {contract.client}.connect("nats://localhost:4222") as client:\n'
            f"    {call if operation.result == 'None' else f'result = {call}'}"
        )

    def _arguments(self, operation: Operation) -> Iterator[Expression]:
        """Yield the arguments of a call; JSON where there is no short way to write one."""
        exchange = self.exchange(operation)
        if operation.aggregate is not None:
            key = self._expressions.key(operation.aggregate)
            yield key or Expression(repr(exchange.key))
        if operation.payload:
            payload = self._expressions.payload(operation.payload)
            yield payload or Expression(repr(exchange.payloads[0]) if exchange.payloads else "...")

    def subscription(self, event: Event) -> str:
        """Return a program that subscribes to an event."""
        contract = self.contract
        key = "" if event.aggregate is None else "event.key, "
        return (
            f"import asyncio\n\nfrom {contract.package} import {contract.client}\n\n"
            f"async def handle(event):\n    print({key}event.data)\n\n"
            f'async with {contract.client}.connect("nats://localhost:4222") as client:\n'
            f"    async with await client.{event.subscribe}(handle):\n"
            "        await asyncio.sleep(3600)"
        )
