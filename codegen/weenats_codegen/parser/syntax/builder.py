"""Events -> one value; flaws are noted on the way, each with its JSON pointer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax.events import (
    MAX_DEPTH,
    TOO_DEEP,
    Close,
    Event,
    Flaw,
    Open,
    Parsed,
    Refused,
    Scalar,
    Unreadable,
)
from weenats_codegen.parser.syntax.scalars import plain_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import JsonValue

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class _Container:
    """A mapping or list that is being read."""

    def __init__(self, pointer: str, *, is_mapping: bool) -> None:
        self.pointer = pointer
        self.mapping: dict[str, JsonValue] | None = {} if is_mapping else None
        self.items: list[JsonValue] = []
        self.key: str | None = None

    @property
    def expects_key(self) -> bool:
        return self.mapping is not None and self.key is None

    @property
    def value(self) -> JsonValue:
        return self.items if self.mapping is None else self.mapping

    @property
    def place(self) -> str:
        if self.expects_key:
            return self.pointer
        return joined(self.pointer, len(self.items) if self.key is None else self.key)

    def add(self, value: JsonValue) -> None:
        if self.mapping is None:
            self.items.append(value)
        elif self.key is not None:
            self.mapping.setdefault(self.key, value)  # the first of two equal keys counts
            self.key = None


class Builder:
    """Builds a value on a stack of its own: depth is counted, and never exhausts Python's."""

    def __init__(self) -> None:
        """Start with nothing read."""
        self._stack: list[_Container] = []
        self._flaws: list[Flaw] = []
        self._documents: list[JsonValue] = []

    def build(self, events: Iterable[Event]) -> Parsed:
        """Return the value of all events; raise Unreadable if there is none."""
        for event in events:
            if isinstance(event, Refused):
                self._note(self._place, event.message, event.remedy)
            elif isinstance(event, Open):
                self._open(is_mapping=event.is_mapping)
            elif isinstance(event, Close):
                self._add(self._stack.pop().value)
            else:
                self._scalar(event)
        if len(self._documents) > 1:
            self._note("", "holds more than one YAML document", "keep one document in one file")
        return Parsed(self._documents[0] if self._documents else None, tuple(self._flaws))

    @property
    def _place(self) -> str:
        return self._stack[-1].place if self._stack else ""

    def _note(self, pointer: str, message: str, remedy: str) -> None:
        self._flaws.append(Flaw(pointer, message, remedy))

    def _open(self, *, is_mapping: bool) -> None:
        if len(self._stack) >= MAX_DEPTH:
            raise Unreadable(TOO_DEEP)
        if self._stack and self._stack[-1].expects_key:
            raise Unreadable(
                Flaw(self._place, "has a mapping or list as a key", "use text as the key")
            )
        self._stack.append(_Container(self._place, is_mapping=is_mapping))

    def _add(self, value: JsonValue) -> None:
        if self._stack:
            self._stack[-1].add(value)
        else:
            self._documents.append(value)

    def _scalar(self, scalar: Scalar) -> None:
        text = self._characters(scalar.text)
        if self._stack and self._stack[-1].expects_key:
            self._key(self._stack[-1], text, plain=scalar.plain)
        elif scalar.plain:
            try:
                self._add(plain_value(text))
            except ValueError as error:
                self._note(self._place, str(error), "write a number that JSON has")
                self._add(0)
        else:
            self._add(text)

    def _characters(self, text: str) -> str:
        """Join characters escaped in halves, as JSON does; note a half without another."""
        if not _SURROGATE.search(text):
            return text
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if _SURROGATE.search(whole):
            self._note(
                self._place, f"holds a lone surrogate: {shown(text)}", "write a whole character"
            )
        return _SURROGATE.sub("\ufffd", whole)

    def _key(self, container: _Container, text: str, *, plain: bool) -> None:
        if plain and text == "<<":
            self._note(
                self._place, "has a merge key (<<)", "write the members out, or share them by $ref"
            )
        elif plain and not _is_text(text):
            self._note(
                self._place,
                f"has the key {text or 'null'}, which is no text",
                "put it in quotes",
            )
        if container.mapping is not None and text in container.mapping:
            self._note(joined(self._place, text), "stands here twice", "remove one of the two")
        container.key = text


def _is_text(text: str) -> bool:
    try:
        return isinstance(plain_value(text), str)
    except ValueError:
        return False
