"""What a command decides: the events that it causes, and its reply."""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar, cast

__all__ = ["Decision", "Emission"]
ResultT = TypeVar("ResultT")
_STATE: Final = object()


class Decision(Generic[ResultT]):
    """What the handler of a command decides; `emit` and `reply` of the handlers make one.

    Nothing has happened yet: the runtime stores the events and the reply in one step.

    Args:
        events: the events, each one its data or `EVENT.with_data(...)`.
        result: the result of the command.

    Attributes:
        events: the events, in their order.
    """

    __slots__ = ("_result", "events")

    def __init__(self, events: tuple[object, ...], result: ResultT) -> None:
        self.events: Final = events
        self._result: Final = result

    @property
    def is_state(self) -> bool:
        """Whether the result of the command is the state after the events."""
        return self._result is _STATE

    @property
    def result(self) -> ResultT:
        """The result of the command.

        Raises:
            RuntimeError: it is the state after the events, which only the runtime knows.
        """
        if self.is_state:
            raise RuntimeError("the result is the state after the events: apply them to know it")
        return self._result

    def __repr__(self) -> str:
        events = ", ".join(type(event).__name__ for event in self.events)
        return f"<{type(self).__name__} of {events or 'no events'}>"


class Emission(Decision[None]):
    """Events of a command without a result; `reply` adds a result."""

    __slots__ = ()

    def reply(self, result: ResultT) -> Decision[ResultT]:
        """Return the decision with these events and a result.

        Args:
            result: the result of the command.
        """
        return Decision(self.events, result)

    def reply_state(self) -> Decision[Any]:
        """Return the decision with these events, whose result is the state after them."""
        return Decision(self.events, cast("Any", _STATE))
