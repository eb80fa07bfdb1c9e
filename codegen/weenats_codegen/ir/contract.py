"""A contract with every Python name decided, so that templates have nothing to work out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from weenats_codegen.ir.schemas import without_descriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats_codegen.parser.walk import Schema


@dataclass(frozen=True, slots=True)
class DeclaredError:
    """An error that operations may raise.

    Attributes:
        name: Its name on the wire.
        code: Its canonical code.
        description: The default message.
        class_name: Its exception class.
        base: The runtime's class of the code.
        details: The model of its details; "" when it has none.
    """

    name: str
    code: str
    description: str
    class_name: str
    base: str
    details: str


@dataclass(frozen=True, slots=True)
class Event:
    """A fact that the service announces.

    Attributes:
        name: Its name on the wire.
        description: What has happened.
        constant: Its descriptor.
        data: The model of its data.
        publish: The method that publishes it.
        subscribe: The method that subscribes to it.
    """

    name: str
    description: str
    constant: str
    data: str
    publish: str
    subscribe: str


@dataclass(frozen=True, slots=True)
class Auth:
    """What an operation asks of its callers.

    Attributes:
        required: Whether they must send a token.
        scopes: What the token must grant.
    """

    required: bool
    scopes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The same for people."""
        if self.scopes:
            return f"The caller's token must grant {', '.join(self.scopes)}."
        return "Callers must send a token." if self.required else "Callers need no token."


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often an instance of the service performs an operation at most.

    Attributes:
        max_requests_per_second: In the long run.
        burst: At once after a pause; None leaves it to the runtime.
    """

    max_requests_per_second: float
    burst: float | None

    @property
    def sentence(self) -> str:
        """The same for people."""
        return f"An instance takes at most {self.max_requests_per_second:g} requests a second."


@dataclass(frozen=True, slots=True)
class Operation:
    """A command or a query.

    Attributes:
        name: Its name on the wire.
        description: What it does.
        constant: Its descriptor.
        method: Its method, on either side.
        payload: The model of its payload or parameters; "" when it takes none.
        result: The type of its result: a model, `Entity[...]` of a model, or `None`.
        errors: What it raises.
        emits: What it announces.
        idempotent: Whether doing it twice is doing it once.
        auth: What it asks of its callers; None leaves that to the service.
        rate_limit: How often it is performed at most; None leaves that to the service.
        timeout: Seconds it may take when its caller does not say; None leaves that to the runtime.
    """

    name: str
    description: str
    constant: str
    method: str
    payload: str
    result: str
    errors: tuple[DeclaredError, ...]
    emits: tuple[Event, ...]
    idempotent: bool
    auth: Auth | None
    rate_limit: RateLimit | None
    timeout: float | None

    @property
    def payload_type(self) -> str:
        """The payload as a descriptor names it."""
        return self.payload or "NoneType"

    @property
    def result_type(self) -> str:
        """The result as a descriptor names it."""
        return "NoneType" if self.result == "None" else self.result

    @property
    def emitted(self) -> str:
        """The names of what it announces, for people."""
        return ", ".join(event.name for event in self.emits)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract.

    Attributes:
        file: The path of service.yaml as the user gave it.
        service: The name of the service.
        version: Its version.
        description: What it is for.
        aggregate: The type of its aggregate.
        package: The package to write.
        client: The client class.
        handlers: The abstract class of the server.
        stub: The class in handlers.py.
        errors: The errors it declares.
        commands: Its commands.
        queries: Its queries.
        events: Its events.
        schema: All its schemas: `{"$defs": {class name: schema}}`.
    """

    file: str
    service: str
    version: str
    description: str
    aggregate: str
    package: str
    client: str
    handlers: str
    stub: str
    errors: tuple[DeclaredError, ...]
    commands: tuple[Operation, ...]
    queries: tuple[Operation, ...]
    events: tuple[Event, ...]
    schema: Schema

    @property
    def operations(self) -> tuple[Operation, ...]:
        """Its commands, then its queries."""
        return self.commands + self.queries

    @property
    def models(self) -> tuple[str, ...]:
        """The names of its models."""
        definitions = self.schema["$defs"]
        return tuple(definitions) if isinstance(definitions, dict) else ()

    @property
    def digest(self) -> str:
        """A fingerprint of what the contract asks of both sides.

        It knows neither files nor words for people: moving a schema to another file, or wording a
        description better, changes nothing.
        """
        meaning = {
            "service": self.service,
            "version": self.version,
            "aggregate": self.aggregate,
            "errors": {error.name: [error.code, error.details] for error in self.errors},
            "commands": _operations(self.commands),
            "queries": _operations(self.queries),
            "events": {event.name: event.data for event in self.events},
            "schema": without_descriptions(self.schema),
        }
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return f"sha256:{sha256(text.encode()).hexdigest()}"


def _operations(operations: Sequence[Operation]) -> dict[str, object]:
    return {
        operation.name: {
            "payload": operation.payload,
            "result": operation.result,
            "errors": sorted(error.name for error in operation.errors),
            "emits": sorted(event.name for event in operation.emits),
            "idempotent": operation.idempotent,
            **_policy(operation),
        }
        for operation in operations
    }


def _policy(operation: Operation) -> dict[str, object]:
    """Return the members of what is asked of callers; none where the contract leaves it open."""
    policy: dict[str, object] = {}
    if (auth := operation.auth) is not None:
        policy["auth"] = [auth.required, sorted(auth.scopes)]
    if (limit := operation.rate_limit) is not None:
        policy["rateLimit"] = [limit.max_requests_per_second, limit.burst]
    if operation.timeout is not None:
        policy["timeout"] = operation.timeout
    return policy
