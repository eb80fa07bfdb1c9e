"""Frozen descriptors that generated code instantiates.

The one meeting point of generated code and runtime.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from weenats import messages, subjects
from weenats.model import Model
from weenats.subjects import Kind

if TYPE_CHECKING:
    from weenats.errors import ServiceError

PayloadT = TypeVar("PayloadT")
ResultT = TypeVar("ResultT")
StateT = TypeVar("StateT", bound=Model)
DataT = TypeVar("DataT", bound=Model)


class Entity(messages.Entity, Generic[StateT]):
    """What the standard query `get` answers: an aggregate's identity, state and revision."""

    state: StateT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServiceContract:
    """A service as its contract names it.

    Raises:
        SubjectError: a name or the version is not what the subject grammar allows.
    """

    name: str
    version: str
    description: str
    aggregate: str
    digest: str

    def __post_init__(self) -> None:
        subjects.check_service_name(self.name)
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
    """An operation that changes an aggregate."""

    name: str
    contract: ServiceContract
    payload: type[PayloadT]
    result: type[ResultT]
    errors: tuple[type[ServiceError], ...] = ()
    emits: tuple[Event[Any], ...] = ()
    idempotent: bool = False
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
    """An operation that reads an aggregate; `parameters` is NoneType when it takes none."""

    name: str
    contract: ServiceContract
    parameters: type[PayloadT]
    result: type[ResultT]
    errors: tuple[type[ServiceError], ...] = ()
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

    @property
    def idempotent(self) -> bool:
        """Reading twice is reading once."""
        return True


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
