"""Aggregates that are kept in a stream: their events, and how these change the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import isclass
from typing import Any, Final, NamedTuple, TypeVar

from weenats._internal.validation import check_plain
from weenats.aggregates.errors import AggregateBreachError, BrokenHistoryError
from weenats.codec.parts import Decoder, Encoder
from weenats.codec.upcasting import UpcastError, upcast
from weenats.codec.violations import reason
from weenats.contract import Aggregate, Command, Event, EventData
from weenats.errors import ServiceError
from weenats.schema.part import declared_type

__all__ = ["EncodedEvent", "StateCodec", "StoredAggregate"]
ValueT = TypeVar("ValueT")
Fold = Callable[[Any, Any], object]
"""Takes the state, None before the first event, and the data of an event; returns the state."""


class EncodedEvent(NamedTuple):
    """An event as it is stored.

    Attributes:
        name: the name of the event.
        data: its data, JSON text.
        version: the version of its data.
    """

    name: str
    data: bytes
    version: int = 1

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class StoredAggregate:
    """An aggregate that is kept in a stream, with the methods that apply its events.

    Args:
        aggregate: the aggregate.
        folds: by event, what returns the state after it: it takes the state, None before the first
            event, and the data of the event. It is pure: it reads no clock, no database, and makes
            the same of the same whenever it runs.

    Attributes:
        aggregate: the aggregate.
        folds: as above.

    Raises:
        TypeError: what shall return a state is async, or is not a function.
    """

    def __init__(self, aggregate: Aggregate[Any], folds: Mapping[Event[Any], Fold]) -> None:
        for event, fold in folds.items():
            check_plain(fold, f"the method of {aggregate.name} for {event.name}")
        self.aggregate: Final = aggregate
        self.folds: Final = folds


class StateCodec:
    """Encodes the events of an aggregate, and makes the state of them.

    States are kept as JSON text: what a handler or a fold does to the object that it got changes
    nothing but that object.

    Args:
        stored: the aggregate.
    """

    def __init__(self, stored: StoredAggregate) -> None:
        aggregate = stored.aggregate
        self._name = aggregate.name
        state = Decoder(declared_type(aggregate.state), aggregate.state)
        self._read_state, self._decode_state = state.read, state.decode
        self._encode_state = Encoder(aggregate.state).write
        self._encode = {event: Encoder(event.data).write for event in stored.folds}
        self._fold = {
            event.name: (Decoder(declared_type(event.data), event.data).decode, fold, event)
            for event, fold in stored.folds.items()
        }

    def encode(self, command: Command[Any, Any], events: Iterable[object]) -> list[EncodedEvent]:
        """Return the events that a command causes, as they are stored.

        Args:
            command: the command.
            events: the events, each one its data or with its descriptor.

        Raises:
            AggregateBreachError: the contract does not allow one of them.
        """
        return [self._encoded(command, event) for event in events]

    def apply(self, state: bytes | None, events: Iterable[EncodedEvent]) -> tuple[bytes, Any]:
        """Return the state after some events, as JSON text and of its type.

        Args:
            state: the state as JSON text; None before the first event.
            events: the events, at least one.

        Raises:
            AggregateBreachError: the state after them breaks the contract, or the method of an
                event raised a ServiceError.
            BrokenHistoryError: the state or an event cannot be read.
        """
        value, name = self.read(state), ""
        for name, data, version in events:
            decode, fold, event = self._known(name)
            if version != len(event.previous) + 1:
                data = self._read(partial(upcast, event, version=version), data, name)  # noqa: PLW2901 - the same event
            try:
                value = fold(value, self._read(decode, data, name))
            except ServiceError as error:
                # It would reach callers as if the command, or reading the stream, had failed.
                raise AggregateBreachError(
                    f"the method of {self._name} for {name} raised {type(error).__name__}: what has"
                    " happened cannot be refused any more"
                ) from error
        try:
            after = self._encode_state(value)
            value = self._written(after)  # also checks what a model was made without
        except TypeError as error:
            why = str(error)
        except ValueError as error:
            why = reason(error)
        else:
            return after, value
        raise AggregateBreachError(f"the state of {self._name} after {name} is not valid: {why}")

    def read(self, state: bytes | None) -> Any:  # noqa: ANN401 - of the contract
        """Return a state of its type; None before the first event.

        Args:
            state: the state as JSON text; None before the first event.

        Raises:
            BrokenHistoryError: it is not a state of the contract.
        """
        if state is None:
            return None
        try:
            return self._written(state)
        except ValueError as error:
            why = reason(error)
        raise BrokenHistoryError(f"the state of {self._name} does not match the contract: {why}")

    def _written(self, state: bytes) -> Any:  # noqa: ANN401 - of the contract
        """Return a state that was encoded here, and so has neither NaN nor infinities.

        Raises:
            ValueError: it is not a state of the contract.
        """
        try:
            return self._read_state(state)
        except ValueError:
            return self._decode_state(state)  # says why, unless it is valid all the same

    def _known(self, name: str) -> tuple[Callable[[bytes], Any], Fold, Event[Any]]:
        if name not in self._fold:
            raise BrokenHistoryError(
                f"{self._name} has a stored event {name}, which is not in the contract of this"
                " instance: it is for instances of the newer contract"
            )
        return self._fold[name]

    @staticmethod
    def _read(decode: Callable[[bytes], ValueT], data: bytes, what: str) -> ValueT:
        try:
            return decode(data)
        except UpcastError as error:
            why = str(error)
        except ValueError as error:
            why = reason(error)
        raise BrokenHistoryError(f"{what} does not match the contract: {why}")

    def _encoded(self, command: Command[Any, Any], event: object) -> EncodedEvent:
        descriptor, data = self._described(command, event)
        try:
            encoded = self._encode[descriptor](data)
            return EncodedEvent(descriptor.name, encoded, len(descriptor.previous) + 1)
        except TypeError as error:
            why = str(error)
        except ValueError as error:
            why = reason(error)
        raise AggregateBreachError(
            f"{command.name} emitted {descriptor.name}, whose data breaks the contract: {why}"
        )

    def _described(self, command: Command[Any, Any], event: object) -> tuple[Event[Any], object]:
        """Return an event and its data.

        Raises:
            AggregateBreachError: it is not an event that the command emits.
        """
        kind = type(event).__name__
        if isinstance(event, EventData):
            if event.event in command.emits:
                return event.event, event.data
            kind = event.event.name
        else:
            types = {each: declared_type(each.data) for each in command.emits}
            fitting = [each for each, declared in types.items() if declared is type(event)]
            if not fitting:  # maps, lists and unions have no class of their own
                fitting = [each for each, declared in types.items() if not isclass(declared)]
            if len(fitting) == 1:
                return fitting[0], event
            if fitting:
                names = " and ".join(each.name for each in fitting)
                raise AggregateBreachError(
                    f"{command.name} emitted a {kind}, which may be the data of {names}: emit"
                    " EVENT.with_data(...) of one of them"
                )
        names = ", ".join(each.name for each in command.emits) or "no events"
        raise AggregateBreachError(
            f"{command.name} emitted {kind}; according to its contract it emits {names}"
        )
