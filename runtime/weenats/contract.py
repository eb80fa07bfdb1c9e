"""Descriptors of services, operations and events, which generated code creates."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import ConfigDict, JsonValue
from typing_extensions import override

from weenats.errors import ServiceError
from weenats.protocol import messages, subjects
from weenats.protocol.subjects import Kind
from weenats.schema.part import Schema, declared_type

__all__ = [
    "Aggregate",
    "AnyOperation",
    "AuthRequirement",
    "Command",
    "DurabilityDemand",
    "Entity",
    "Event",
    "EventData",
    "EventVersion",
    "Query",
    "RateLimit",
    "ServiceContract",
    "Stream",
]

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT")
DataT = TypeVar("DataT")
_MIN_RATE: Final = 0.001
_MAX_RATE: Final = 1_000_000
_MAX_BURST: Final = 10_000_000
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequirement:
    """What an operation requires of its callers; it overrides the settings of the service.

    Attributes:
        required: whether requests must have a token. A token that is sent must always be valid.
        scopes: scopes that the token must grant, all of them.

    Raises:
        ValueError: a scope is not valid (RFC 6749), or there are scopes but no required token.
    """

    required: bool = True
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for scope in self.scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(
                    f"{scope!r} is not a valid scope: use printable ASCII without spaces, double"
                    " quotes and backslashes"
                )
        if self.scopes and not self.required:
            raise ValueError("scopes require a token, so `required` cannot be False")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """A limit of the requests to one instance of a service (leaky bucket).

    Attributes:
        max_requests_per_second: long-term rate, 0.001 to 1,000,000.
        burst: number of requests that are admitted at once after a pause: at least 1 and at least
            `max_requests_per_second`, at most 10,000,000. Default: twice the rate, at least 1.

    Raises:
        ValueError: a value is out of bounds.
    """

    max_requests_per_second: float
    burst: float | None = None

    def __post_init__(self) -> None:
        rate = self.max_requests_per_second
        if type(rate) not in (int, float) or not _MIN_RATE <= rate <= _MAX_RATE:
            raise ValueError(
                f"max_requests_per_second is from {_MIN_RATE} to {_MAX_RATE}, not {rate!r}"
            )
        burst = self.burst
        if burst is not None and (
            type(burst) not in (int, float) or not max(rate, 1) <= burst <= _MAX_BURST
        ):
            raise ValueError(
                f"burst is from {max(rate, 1)} to {_MAX_BURST}, not {burst!r}: at least what passes"
                " in one second"
            )

    @property
    def capacity(self) -> float:
        """The number of requests that are admitted at once after a pause."""
        return max(2 * self.max_requests_per_second, 1) if self.burst is None else self.burst


class Entity(messages.Entity, Generic[StateT]):
    """The result of the standard query `get`: id, state and revision of an aggregate."""

    model_config = ConfigDict(defer_build=False)
    state: StateT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stream:
    """A stream of JetStream that keeps durable events.

    Attributes:
        name: name of the stream.
        service: name of the service that publishes the events.
        events: the ends of the subjects of its events, `{aggregate}.{event}`.
        partitions: how many events may be processed at a time; those of one key are in one
            partition, in order.
        max_age: seconds after which events are removed; None for never.
        max_bytes: maximum size, at which new events are refused; None for none.
        max_messages: maximum number of events, at which new ones are refused; None for none.
        replicas: how many servers keep them.
        storage: "file" or "memory".
        dead_letters: name of the stream of events that a consumer could not process.
    """

    name: str
    service: str
    events: tuple[str, ...]
    partitions: int = 16
    max_age: float | None = None
    max_bytes: int | None = None
    max_messages: int | None = None
    replicas: int = 1
    storage: Literal["file", "memory"] = "file"
    dead_letters: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dead_letters", f"{self.name}-dead-letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class DurabilityDemand:
    """What a contract demands of the servers that keep what a service stores.

    Attributes:
        replicas: how many servers keep it at least.
        sync: after how many seconds at most it is on disk; 0 before it is acknowledged, None for no
            demand.
    """

    replicas: int = 1
    sync: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceContract:
    """Name and version of a service.

    Attributes:
        name: name of the service, the first token of its subjects.
        version: version of the contract (semantic versioning).
        description: description of the service.
        digest: hash of what services and clients must agree on, `sha256:...`.
        document: returns the whole contract as JSON, with all its schemas; None if the package was
            generated before packages had it.
        streams: the streams of its durable events.
        durability: what it demands of the servers that keep what it stores; None for nothing.
        cancel_subject: subject to which clients publish the cancellation of calls.

    Raises:
        SubjectError: a name or the version is not valid.
    """

    name: str
    version: str
    description: str
    digest: str
    document: Callable[[], str] | None = None
    streams: tuple[Stream, ...] = ()
    durability: DurabilityDemand | None = None
    cancel_subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cancel_subject", subjects.cancel(self.name))
        subjects.check_version(self.version)

    @property
    def replicas(self) -> int:
        """How many servers have to keep what the service stores."""
        return 1 if self.durability is None else self.durability.replicas


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aggregate(Generic[StateT]):
    """A kind of object that a service keeps; each one has a key.

    Attributes:
        name: name in the contract, a token of the subjects of its operations and events.
        key: type of the keys: `str`, or a Schema whose values are strings in JSON.
        state: type of the state: a model class, or a Schema.
        store: where it is kept: "stream" in a stream of its events; None leaves that to handlers.

    Raises:
        SubjectError: the name is not valid.
    """

    name: str
    key: type[Any] | Schema[Any] = str
    state: type[StateT] | Schema[StateT]
    store: Literal["stream"] | None = None

    def __post_init__(self) -> None:
        subjects.check_component(self.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Descriptor:
    """What operations and events have in common."""

    kind: ClassVar[Kind]
    name: str
    contract: ServiceContract
    aggregate: Aggregate[Any] | None = None
    description: str
    deprecated: bool = False
    subject: str = field(init=False)
    label: str = field(init=False)

    @property
    def path(self) -> str:
        """The end of the subject: the aggregate, if any, and the name."""
        return self.name if self.aggregate is None else f"{self.aggregate.name}.{self.name}"

    def __post_init__(self) -> None:
        aggregate = None if self.aggregate is None else self.aggregate.name
        subject = subjects.build(self.contract.name, self.kind, aggregate, self.name)
        object.__setattr__(self, "subject", subject)
        is_standard = aggregate is not None and self.kind is Kind.QUERY and self.name == "get"
        object.__setattr__(self, "label", f"{aggregate}.get" if is_standard else self.name)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventVersion:
    """An older version of the data of an event, and how the next version is made of it.

    Attributes:
        renamed: the members that have another name in the next version, by their old names.
        removed: the members that the next version does not have.
        added: the members that the next version requires, with their defaults.
        upcaster: returns the data of the next version, instead of all this.
    """

    renamed: Mapping[str, str] = field(default_factory=dict[str, str])
    removed: tuple[str, ...] = ()
    added: Mapping[str, JsonValue] = field(default_factory=dict[str, Any])
    upcaster: Callable[[dict[str, JsonValue]], dict[str, JsonValue]] | None = None

    def next_of(self, data: JsonValue) -> JsonValue:
        """Return data of the next version, without the upcaster.

        Args:
            data: the data.
        """
        if not isinstance(data, dict):
            return data
        kept = {
            self.renamed.get(name, name): value
            for name, value in data.items()
            if name not in self.removed
        }
        return {**self.added, **kept}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event(_Descriptor, Generic[DataT]):
    """An event that a service publishes.

    Attributes:
        kind: `Kind.EVENT`.
        name: name in the contract.
        contract: the service.
        aggregate: what the event is about. None: the service itself; the event has no key.
        data: type of the data: a model class, or a Schema.
        stream: the stream that keeps it, so that it is durable; None for at most once.
        previous: the older versions of its data, oldest first.
        description: description in the contract.
        deprecated: whether to stop using it, since a later version will not have it.
        subject: subject to which the event is published.
        label: the name.
    """

    kind: ClassVar[Kind] = Kind.EVENT
    data: type[DataT] | Schema[DataT]
    stream: Stream | None = None
    previous: tuple[EventVersion, ...] = ()

    def with_data(self, data: DataT) -> "EventData":
        """Return the event with its data, for `emit` where the data alone may be other events'.

        Args:
            data: the data.
        """
        return EventData(event=self, data=data)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventData:
    """An event and its data.

    Attributes:
        event: the event.
        data: its data.
    """

    event: Event[Any]
    data: Any = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Operation(_Descriptor, Generic[PayloadT, ResultT]):
    """What commands and queries have in common."""

    result: type[ResultT] | Schema[ResultT]
    errors: tuple[type[ServiceError], ...] = ()
    idempotent: bool = False
    auth: AuthRequirement | None = None
    rate_limit: RateLimit | None = None
    timeout: float | None = None
    large: int | None = None

    @property
    def may_be_retried(self) -> bool:
        """Whether clients may send a call again: it then has the effect of one call."""
        return self.idempotent

    @property
    def for_instances(self) -> bool:
        """Whether it can be called on all instances: a query, or an idempotent command.

        Commands on aggregates that are kept in a stream are idempotent because repeated message ids
        are recognized, and calls of several instances have different ones.
        """
        is_stored = self.aggregate is not None and self.aggregate.store is not None
        return self.kind is Kind.QUERY or (self.idempotent and not is_stored)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command(_Operation[PayloadT, ResultT]):
    """An operation that changes something.

    Attributes:
        kind: `Kind.COMMAND`.
        name: name in the contract.
        contract: the service.
        aggregate: what it changes. None: the service itself; requests have no key.
        payload: type of the payload: a model class, or a Schema.
        result: type of the result: a model class, or a Schema; NoneType without a result. A result
            that may only be null is `Schema[None](None)`.
        errors: errors that the contract declares for the operation.
        emits: events that the operation publishes.
        idempotent: whether executing it twice has the effect of executing it once, so that clients
            may retry it.
        auth: requirements on callers. None: the settings of the service apply.
        rate_limit: rate limit of the operation, in addition to that of the service.
        timeout: timeout of calls in seconds, on both sides. None: the default of the client.
        large: how many bytes a payload and a result may have that do not fit into a message and
            travel through the object store. None: they have to fit.
        once: seconds for which the first reply of a message id is kept, and given to repeats, so
            that clients may retry it. None: no reply is kept.
        description: description in the contract.
        deprecated: whether to stop using it, since a later version will not have it.
        subject: subject of requests.
        label: the name.
    """

    kind: ClassVar[Kind] = Kind.COMMAND
    payload: type[PayloadT] | Schema[PayloadT]
    emits: tuple[Event[Any], ...] = ()
    once: int | None = None

    @property
    @override
    def may_be_retried(self) -> bool:
        """Whether clients may send a call again: it then has the effect of one call."""
        return self.idempotent or self.once is not None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query(_Operation[PayloadT, ResultT]):
    """An operation that only reads.

    Attributes:
        kind: `Kind.QUERY`.
        name: name in the contract.
        contract: the service.
        aggregate: what it reads. None: the service itself; requests have no key.
        parameters: type of the parameters: a model class, or a Schema; NoneType without parameters.
        result: type of the result: a model class, `Entity[...]`, or a Schema.
        errors: errors that the contract declares for the operation.
        idempotent: whether clients may retry it.
        auth: requirements on callers. None: the settings of the service apply.
        rate_limit: rate limit of the operation, in addition to that of the service.
        timeout: timeout of calls in seconds, on both sides. None: the default of the client.
        large: how many bytes a payload and a result may have that do not fit into a message and
            travel through the object store. None: they have to fit.
        description: description in the contract.
        deprecated: whether to stop using it, since a later version will not have it.
        subject: subject of requests.
        label: the name, unique in the contract: that of a standard query `get` has its aggregate,
            as in `receipt.get`.
    """

    kind: ClassVar[Kind] = Kind.QUERY
    parameters: type[PayloadT] | Schema[PayloadT]
    idempotent: bool = True

    @property
    def payload(self) -> type[PayloadT] | Schema[PayloadT]:
        """The type of the parameters, under the name that commands have for it."""
        return self.parameters


AnyOperation = Command[Any, Any] | Query[Any, Any]
"""A command or a query of any types."""


def state_of(operation: AnyOperation) -> type[Any] | Schema[Any] | None:
    """Return the type of the state if the result of an operation is an `Entity`, else None.

    Args:
        operation: a command or a query.

    Raises:
        ValueError: the result is an `Entity`, and the operation has no aggregate.
    """
    result: Any = declared_type(operation.result)
    if not (isinstance(result, type) and issubclass(result, messages.Entity)):
        return None
    if operation.aggregate is None:
        raise ValueError(f"{operation.name} has no aggregate, so its result is not an Entity")
    return operation.aggregate.state
