"""A contract with all Python names, so that the templates have nothing to decide."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from weenats_codegen.ir.bundle import without_descriptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.ir.library import Library
    from weenats_codegen.ir.previous import EventVersion
    from weenats_codegen.ir.shapes import Shapes
    from weenats_codegen.ir.streams import Stream
    from weenats_codegen.parser.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class DeclaredError:
    """An error that operations may raise.

    Attributes:
        name: The name on the wire.
        code: The canonical code.
        description: The default message.
        class_name: The exception class.
        base: The base class, which the runtime has for the code.
        details: The model of the details; "" if there are none.
    """

    name: str
    code: str
    description: str
    class_name: str
    base: str
    details: str


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A kind of object that the service keeps.

    Attributes:
        name: The name on the wire.
        constant: The descriptor.
        key: The type of the keys; "" if the contract does not describe them.
        state: The model of the state.
        store: Where it is kept: "stream"; "" leaves that to the handlers.
    """

    name: str
    constant: str
    key: str
    state: str
    store: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An event that the service publishes.

    Attributes:
        name: The name on the wire.
        aggregate: What it is about; None for the service itself.
        description: The documentation.
        constant: The descriptor.
        data: The model of the data.
        publish: The method that publishes it.
        subscribe: The method that subscribes to it.
        consume: The method of the consumer that handles it.
        stream: The stream that keeps it; None if it is not durable.
        deprecated: Whether consumers should stop using it.
        fold: The method that applies it to the state, if its aggregate is kept in a stream.
        previous: The older versions of its data, oldest first.
    """

    name: str
    aggregate: Aggregate | None
    description: str
    constant: str
    data: str
    publish: str
    subscribe: str
    consume: str
    stream: Stream | None
    deprecated: bool
    fold: str
    previous: tuple[EventVersion, ...] = ()

    @property
    def key(self) -> str:
        """The type of its key; "" without an aggregate."""
        return _key(self.aggregate)

    @property
    def is_stored(self) -> bool:
        """Whether it belongs to an aggregate that is kept in a stream."""
        return _is_stored(self.aggregate)

    @property
    def event_type(self) -> str:
        """The types of the data and the key, as `EventHandler` takes them; `str` is its default."""
        return self.data if self.key == "str" else f"{self.data}, {self.key or None}"


@dataclass(frozen=True, slots=True)
class Auth:
    """The authentication that an operation requires.

    Attributes:
        required: Whether callers must send a token.
        scopes: The scopes that the token must have.
    """

    required: bool
    scopes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The requirement as documentation."""
        if self.scopes:
            scopes = f"scope{'s' * (len(self.scopes) > 1)} {', '.join(self.scopes)}"
            return f"The caller's token must have the {scopes}."
        return "Callers must send a token." if self.required else "Callers need no token."


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The rate limit of an operation, for each instance of the service.

    Attributes:
        max_requests_per_second: The average rate.
        burst: The number of requests at once after a pause; None for the default of the runtime.
    """

    max_requests_per_second: float
    burst: float | None

    @property
    def sentence(self) -> str:
        """The limit as documentation."""
        return f"An instance accepts at most {self.max_requests_per_second:g} requests per second."


@dataclass(frozen=True, slots=True)
class Durability:
    """What the service demands of the servers that keep what it stores.

    Attributes:
        replicas: How many servers keep it at least.
        sync: After how many seconds at most it is on disk; 0 before it is acknowledged, None for no
            demand.
    """

    replicas: int
    sync: int | None


@dataclass(frozen=True, slots=True)
class Operation:
    """A command or a query.

    Attributes:
        name: The name on the wire.
        label: The name, unique in the contract: `receipt.get` for a standard query.
        aggregate: What it changes or reads; None for the service itself.
        description: The documentation.
        constant: The descriptor.
        method: The method of the client and of the handlers.
        payload: The model of the payload or the parameters; "" if there are none.
        result: The type of the result: a model, `Entity[...]` of a model, or `None`.
        errors: The errors that it may raise.
        emits: The events that it publishes.
        idempotent: Whether calling it twice has the same effect as calling it once.
        auth: The authentication that it requires; None leaves that to the service.
        rate_limit: The rate limit; None leaves that to the service.
        timeout: The default timeout of callers in seconds; None for that of the runtime.
        large: How many bytes a payload or result may have that travels through the object store;
            None if they have to fit into a message.
        once: Seconds for which the first reply is kept and given to repeats; None for no time.
        item: The type of an item of a page; "" unless it is a list query.
        iterate: The method of the client that iterates over all pages.
        deprecated: Whether clients should stop using it.
    """

    name: str
    label: str
    aggregate: Aggregate | None
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
    deprecated: bool
    item: str = ""
    iterate: str = ""
    once: int | None = None
    large: int | None = None

    @property
    def may_be_retried(self) -> bool:
        """Whether a call that is sent again has the effect of one call."""
        return self.idempotent or self.once is not None

    @property
    def key(self) -> str:
        """The type of its key; "" without an aggregate."""
        return _key(self.aggregate)

    @property
    def is_stored(self) -> bool:
        """Whether it belongs to an aggregate that is kept in a stream."""
        return _is_stored(self.aggregate)

    @property
    def is_answered(self) -> bool:
        """Whether the runtime answers it: the query `get` of an aggregate kept in a stream."""
        return self.is_stored and self.result.startswith("Entity[")

    @property
    def subject(self) -> str:
        """The parameters of its handler that say what it is about, with a comma after them."""
        if self.is_stored and self.aggregate is not None:
            return f"state: Entity[{self.aggregate.state}] | None, "
        return f"key: {self.key}, " if self.key else ""

    @property
    def emitted(self) -> str:
        """The names of the events, separated by commas."""
        return ", ".join(event.name for event in self.emits)


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract.

    Attributes:
        file: The path of service.yaml as the user gave it.
        service: The name of the service.
        version: The version of the contract.
        description: The documentation.
        package: The Python package.
        client: The client class.
        sync_client: The class of the synchronous client.
        consumer: The abstract class of the consumer of durable events.
        handlers: The abstract class of the handlers.
        stub: The class in handlers.py.
        errors: The declared errors.
        aggregates: The aggregates.
        commands: The commands.
        queries: The queries.
        events: The events.
        streams: The streams that keep durable events.
        bundle: All schemas.
        shapes: Their shapes, which become the models.
        notes: What is doubtful in the schemas.
        libraries: The libraries that it uses, those that they use included.
        durability: What it demands of the servers that keep what it stores; None for nothing.
        document: The contract as one document, see `ir.document`.
    """

    file: str
    service: str
    version: str
    description: str
    package: str
    client: str
    sync_client: str
    consumer: str
    handlers: str
    stub: str
    errors: tuple[DeclaredError, ...]
    aggregates: tuple[Aggregate, ...]
    commands: tuple[Operation, ...]
    queries: tuple[Operation, ...]
    events: tuple[Event, ...]
    streams: tuple[Stream, ...]
    bundle: Bundle
    shapes: Shapes
    notes: tuple[Diagnostic, ...] = ()
    libraries: tuple[Library, ...] = ()
    document: str = ""
    durability: Durability | None = None

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The commands, then the queries."""
        return self.commands + self.queries

    @property
    def stored(self) -> tuple[Aggregate, ...]:
        """The aggregates that are kept in a stream."""
        return tuple(each for each in self.aggregates if each.store)

    def events_of(self, aggregate: Aggregate) -> tuple[Event, ...]:
        """Return the events of an `aggregate`."""
        return tuple(each for each in self.events if each.aggregate == aggregate)

    @property
    def handled(self) -> tuple[Operation, ...]:
        """The operations that have handlers."""
        return tuple(each for each in self.operations if not each.is_answered)

    @property
    def durable_events(self) -> tuple[Event, ...]:
        """The events that streams keep."""
        return tuple(event for event in self.events if event.stream is not None)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models: its own, and those of libraries that it refers to."""
        shared = self.bundle.shared
        names = [
            name
            for name in self.shapes.definitions
            if name not in self.shapes.shared and name not in shared
        ]
        return tuple(sorted([*names, *shared]))

    @property
    def judged(self) -> tuple[str, ...]:
        """The names of the schemas that the model alone does not enforce, sorted."""
        return tuple(name for name in self.bundle.roots if not self.shapes.is_exact(name))

    def descriptor(self, kind: str) -> str:
        """Return the source of a type in the descriptor of an operation or event.

        Args:
            kind: The type of a payload, a result and so on, as an `Operation` has it.
        """
        if kind in {"", "None"}:
            return "NoneType"
        name = kind.removeprefix("Entity[").removesuffix("]")
        if name in self.judged:
            return f'Schema[{kind}]({kind}, JSON_SCHEMAS["{name}"])'
        return kind if kind != name or self.shapes.is_class(name) else f"Schema[{kind}]({kind})"

    @property
    def digest(self) -> str:
        """A hash of what services and clients must agree on.

        Files and descriptions are not part of it: moving a schema to another file, or changing a
        description, does not change the digest.
        """
        meaning = {
            "service": self.service,
            "version": self.version,
            "aggregates": {each.name: _meaning(each) for each in self.aggregates},
            "errors": {error.name: [error.code, error.details] for error in self.errors},
            "commands": _operations(self.commands),
            "queries": _operations(self.queries),
            "events": {event.name: _event(event) for event in self.events},
            "schema": without_descriptions(self.bundle),
        }
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return f"sha256:{sha256(text.encode()).hexdigest()}"


def _key(aggregate: Aggregate | None) -> str:
    return "" if aggregate is None else aggregate.key or "str"


def _is_stored(aggregate: Aggregate | None) -> bool:
    return aggregate is not None and bool(aggregate.store)


def _meaning(aggregate: Aggregate) -> list[str]:
    store = [aggregate.store] if aggregate.store else []
    return [aggregate.key, aggregate.state, *store]


def _name(aggregate: Aggregate | None) -> str | None:
    return None if aggregate is None else aggregate.name


def _event(event: Event) -> list[object]:
    stream = event.stream
    kept = [] if stream is None else [stream.name, stream.partitions]
    return [_name(event.aggregate), event.data, *kept]


def _operations(operations: Sequence[Operation]) -> dict[str, object]:
    return {
        operation.label: {
            "aggregate": _name(operation.aggregate),
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
    """Return the requirements and limits that the contract declares."""
    policy: dict[str, object] = {}
    if (auth := operation.auth) is not None:
        policy["auth"] = [auth.required, sorted(auth.scopes)]
    if (limit := operation.rate_limit) is not None:
        policy["rateLimit"] = [limit.max_requests_per_second, limit.burst]
    if operation.timeout is not None:
        policy["timeout"] = operation.timeout
    if operation.once is not None:
        policy["once"] = operation.once
    if operation.large is not None:
        policy["large"] = operation.large
    return policy
