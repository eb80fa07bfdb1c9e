"""What JSON and YAML readers report becomes one value; errors are collected on the way."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import JsonValue

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, Location, quoted
from weenats_codegen.parser.syntax.scalars import plain_value

_MAX_DEPTH: Final = 100
"""How deep mappings and lists may be nested; schemas that people write come nowhere near."""
TOO_DEEP: Final = (
    f"is nested more than {_MAX_DEPTH} levels deep",
    "move inner schemas to $defs or to files of their own",
)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Parsed(NamedTuple):
    """The value of a text, as far as it could be read, and the errors in it."""

    value: JsonValue
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class _Container:
    """A mapping or list whose end has not been read yet."""

    location: Location
    value: dict[str, JsonValue] | list[JsonValue]
    key: str | None = None

    @property
    def expects_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None

    @property
    def next(self) -> Location:
        """The location of the value that is read next."""
        step = len(self.value) if isinstance(self.value, list) else self.key
        return self.location if step is None else self.location.child(step)

    def add(self, value: JsonValue) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        elif self.key is not None:
            self.value.setdefault(self.key, value)  # the first of two equal keys counts
            self.key = None


class Builder:
    """Builds a value on a stack of its own, so that deep nesting cannot exhaust Python's stack."""

    def __init__(self, file: str) -> None:
        """Initialize an empty builder.

        Args:
            file: The name of the file, for diagnostics.
        """
        self._file = Location(file)
        self._stack: list[_Container] = []
        self._documents: list[JsonValue] = []
        self._diagnostics: list[Diagnostic] = []

    @property
    def parsed(self) -> Parsed:
        """The value of everything that was read."""
        if len(self._documents) > 1:
            message, remedy = "contains more than one YAML document", "keep one document per file"
            self._diagnostics.append(Diagnostic(self._file, message, remedy))
        return Parsed(self._documents[0] if self._documents else None, tuple(self._diagnostics))

    def open(self, value: dict[str, JsonValue] | list[JsonValue]) -> None:
        """Begin a mapping or list.

        Args:
            value: An empty one.

        Raises:
            ContractError: It is nested too deeply, or is the key of a mapping.
        """
        if len(self._stack) >= _MAX_DEPTH:
            raise self.error(*TOO_DEEP)
        if self._stack and self._stack[-1].expects_key:
            message, remedy = "has a mapping or list as a key", "use a string as the key"
            raise ContractError([Diagnostic(self._location, message, remedy)])
        self._stack.append(_Container(self._location, value))

    def close(self) -> None:
        """End the innermost mapping or list."""
        self._add(self._stack.pop().value)

    def scalar(self, text: str, *, plain: bool) -> None:
        """Add a key or a value without parts.

        Args:
            text: Its text.
            plain: Whether it has no quotes, so that it may be something else than a string.
        """
        text = self._characters(text)
        if self._stack and self._stack[-1].expects_key:
            self._key(self._stack[-1], text, plain=plain)
        elif plain:
            try:
                self._add(plain_value(text))
            except ValueError as error:
                self.report(str(error), "write a finite number of at most 15 digits, or an integer")
                self._add(0)
        else:
            self._add(text)

    def report(self, message: str, remedy: str, *steps: str) -> None:
        """Add a diagnostic for the value that is read next."""
        self._diagnostics.append(Diagnostic(self._location.child(*steps), message, remedy))

    def error(self, message: str, remedy: str) -> ContractError:
        """Return the exception for a file that cannot be parsed at all."""
        return ContractError([Diagnostic(self._file, message, remedy)])

    @property
    def _location(self) -> Location:
        return self._stack[-1].next if self._stack else self._file

    def _add(self, value: JsonValue) -> None:
        if self._stack:
            self._stack[-1].add(value)
        else:
            self._documents.append(value)

    def _characters(self, text: str) -> str:
        """Join escaped surrogate pairs, as JSON does; report a lone surrogate."""
        if not _SURROGATE.search(text):
            return text
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        if _SURROGATE.search(whole):
            self.report(f"contains a lone surrogate: {quoted(text)}", "write a complete character")
        return _SURROGATE.sub("\ufffd", whole)

    def _key(self, container: _Container, text: str, *, plain: bool) -> None:
        if plain and text == "<<":
            self.report("has a merge key (<<)", "write the members out, or share schemas by $ref")
        elif plain and not _is_string(text):
            self.report(f"has the key {text or 'null'}, which is not a string", "quote the key")
        if isinstance(container.value, dict) and text in container.value:
            self.report("appears twice", "remove one of them", text)
        container.key = text


def _is_string(text: str) -> bool:
    try:
        return isinstance(plain_value(text), str)
    except ValueError:
        return False
