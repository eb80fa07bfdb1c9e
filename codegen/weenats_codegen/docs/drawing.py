"""The drawing of a service: which commands emit which events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from weenats_codegen.ir.contract import Contract

_ROW: Final = 30
_MIDDLE: Final = 12
_WIDTH: Final = 250
_GAP: Final = 140
_TOP: Final = 34
_MAX_TEXT: Final = 32


class Box(NamedTuple):
    """A command or an event of the drawing."""

    label: str
    title: str
    anchor: str
    x: int
    y: int


class Line(NamedTuple):
    """A connection between a command and an event."""

    x1: int
    y1: int
    x2: int
    y2: int


class Drawing(NamedTuple):
    """The parts of a drawing, in pixels.

    Attributes:
        width: Its width.
        height: Its height.
        box_width: The width of each box.
        commands: The boxes on the left.
        events: The boxes on the right.
        lines: The connections.
    """

    width: int
    height: int
    box_width: int
    commands: list[Box]
    events: list[Box]
    lines: list[Line]


def drawing(contract: Contract) -> Drawing | None:
    """Return the drawing of a service, None if it has no events."""
    if not contract.events:
        return None
    commands = [command for command in contract.commands if command.emits]
    rights = {
        event.name: _box(event.name, f"event-{event.name}", _WIDTH + _GAP, row)
        for row, event in enumerate(contract.events)
    }
    lefts = [
        _box(command.label, f"op-{command.label}", 0, row) for row, command in enumerate(commands)
    ]
    lines = [
        Line(_WIDTH, left.y + _MIDDLE, _WIDTH + _GAP, rights[event.name].y + _MIDDLE)
        for left, command in zip(lefts, commands, strict=True)
        for event in command.emits
    ]
    height = _TOP + _ROW * max(len(lefts), len(rights)) + 4
    return Drawing(2 * _WIDTH + _GAP, height, _WIDTH, lefts, [*rights.values()], lines)


def _box(name: str, anchor: str, x: int, row: int) -> Box:
    label = name if len(name) <= _MAX_TEXT else f"{name[: _MAX_TEXT - 1]}…"
    return Box(label, name, anchor, x, _TOP + row * _ROW)
