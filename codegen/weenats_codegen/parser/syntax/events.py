"""What JSON and YAML texts are read as: a stream of events that one builder makes a value of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pydantic import JsonValue

MAX_DEPTH: Final = 40
"""How deep mappings and lists may stand in one another; no contract for people comes near."""


class Flaw(NamedTuple):
    """A problem of a text, before it is known which file it is."""

    pointer: str
    message: str
    remedy: str


class Parsed(NamedTuple):
    """The value of a text, as far as it could be read, and what was wrong with it."""

    value: JsonValue
    flaws: tuple[Flaw, ...]


class Unreadable(Exception):  # noqa: N818 - reads as what it says: the text is unreadable
    """The text has no value at all."""

    def __init__(self, flaw: Flaw) -> None:
        """Hold the one flaw that ends reading."""
        super().__init__(flaw)
        self.flaw = flaw


class Open(NamedTuple):
    """A mapping or list begins."""

    is_mapping: bool


class Close(NamedTuple):
    """A mapping or list ends."""


class Scalar(NamedTuple):
    """A value without parts; plain: it stands without quotes, so it may be no text."""

    text: str
    plain: bool


class Refused(NamedTuple):
    """The value that follows has something that JSON has not."""

    message: str
    remedy: str


Event = Open | Close | Scalar | Refused

TOO_DEEP: Final = Flaw(
    "",
    f"is nested more than {MAX_DEPTH} levels deep",
    "move inner schemas to $defs or to files of their own",
)
