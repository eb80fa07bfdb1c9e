"""Frozen descriptors that generated code instantiates.

The one meeting point of generated code and runtime.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from weenats.model import Model
from weenats.protocol import messages, subjects
from weenats.protocol.subjects import Kind

if TYPE_CHECKING:
    from weenats.errors import ServiceError

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT", bound=Model)
DataT = TypeVar("DataT", bound=Model)
_MIN_RATE: Final = 0.001
_MAX_RATE: Final = 1_000_000
_MAX_BURST: Final = 10_000_000
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequirement:
    """What an operation demands of its caller, whatever the service is configured with.

    Attributes:
        required: False lets callers in that send no token; a token that is sent must be valid.
        scopes: what the token must grant, every one of them.

    Raises:
        ValueError: a scope is no scope, or scopes are asked of callers that may send no token.
    """

    required: bool = True
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for scope in self.scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(f'{scope!r} is no scope: printable ASCII without space, " and \\')
        if self.scopes and not self.required:
            raise ValueError("scopes need a token: `required: false` cannot stand beside them")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """How many requests are let through, by one instance of a service.

    Attributes:
        max_requests_per_second: in the long run, 0.001 to 1,000,000.
        burst: at once after a pause, at most 10,000,000; twice the rate if not set, and one at
            least.

    Raises:
        ValueError: a value is out of bounds, or the burst is less than a second's requests.
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
                f"burst is from max(max_requests_per_second, 1) to {_MAX_BURST}, not {burst!r}"
            )

    @property
    def capacity(self) -> float:
        """How many requests pass at once after a pause."""
        return max(2 * self.max_requests_per_second, 1) if self.burst is None else self.burst


class Entity(messages.Entity, Generic[StateT]):
    """What the standard query `get` answers: an aggregate's identity, state and revision."""

    state: StateT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceContract:
    """A service as its contract names it.

    Attributes:
        cancel_subject: where callers tell which call they give up.

    Raises:
        SubjectError: a name or the version is not what the subject grammar allows.
    """

    name: str
    version: str
    description: str
    aggregate: str
    digest: str
    cancel_subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cancel_subject", subjects.cancel(self.name))
        subjects.check_component(self.aggregate)
        subjects.check_version(self.version)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Event(Generic[DataT]):
    """A fact that a service announces."""

    name: str
    contract: ServiceContract
    data: type[DataT]
    description: str
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", _subject(self.contract, Kind.EVENT, self.name))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Command(Generic[PayloadT, ResultT]):
    """An operation that changes an aggregate.

    Attributes:
        idempotent: whether doing it twice is doing it once, so that clients may try it again.
        auth: what it demands of its caller; None leaves that to the service.
        rate_limit: how often it is performed; a limit of the service's own counts besides.
        timeout: seconds it may take when its caller does not say, on both ends; None leaves that to
            the client.
    """

    name: str
    contract: ServiceContract
    payload: type[PayloadT]
    result: type[ResultT]
    errors: tuple[type[ServiceError], ...] = ()
    emits: tuple[Event[Any], ...] = ()
    idempotent: bool = False
    auth: AuthRequirement | None = None
    rate_limit: RateLimit | None = None
    timeout: float | None = None
    description: str
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", _subject(self.contract, Kind.COMMAND, self.name))

    @property
    def kind(self) -> Kind:
        """Command."""
        return Kind.COMMAND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query(Generic[PayloadT, ResultT]):
    """An operation that reads an aggregate; `parameters` is NoneType when it takes none.

    Attributes:
        idempotent: whether asking twice is asking once, so that clients may ask again.
        auth: what it demands of its caller; None leaves that to the service.
        rate_limit: how often it is answered; a limit of the service's own counts besides.
        timeout: seconds it may take when its caller does not say, on both ends; None leaves that to
            the client.
    """

    name: str
    contract: ServiceContract
    parameters: type[PayloadT]
    result: type[ResultT]
    errors: tuple[type[ServiceError], ...] = ()
    idempotent: bool = True
    auth: AuthRequirement | None = None
    rate_limit: RateLimit | None = None
    timeout: float | None = None
    description: str
    subject: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "subject", _subject(self.contract, Kind.QUERY, self.name))

    @property
    def kind(self) -> Kind:
        """Query."""
        return Kind.QUERY

    @property
    def payload(self) -> type[PayloadT]:
        """The type of the parameters, under the name that commands use."""
        return self.parameters


AnyOperation = Command[Any, Any] | Query[Any, Any]
"""An operation whose types are checked at run time."""


def state_type(operation: AnyOperation) -> type[Model] | None:
    """Return the type of the state when the operation answers an entity, else None."""
    result: Any = operation.result
    if result is NoneType or not issubclass(result, messages.Entity):
        return None
    annotation = result.model_fields["state"].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, Model) else None


def _subject(contract: ServiceContract, kind: Kind, name: str) -> str:
    return subjects.build(contract.name, kind, contract.aggregate, name)
