"""Text that people read: nothing in it may be invisible, or hide what stands beside it."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from weenats_codegen.parser.diagnostics import joined
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.parser.walk import OPERATION_SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

_ALLOWED: Final = frozenset("\n\t\u200c\u200d")  # the joiners belong to scripts and emoji
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_descriptions(contract: JsonValue) -> Iterator[Flaw]:
    """Yield the descriptions of a service.yaml that hold invisible characters."""
    if not isinstance(contract, dict):
        return
    holders = [("", contract), ("/aggregate", contract.get("aggregate"))]
    for section in OPERATION_SCHEMAS:
        named = contract.get(section)
        if isinstance(named, dict):
            holders += [(joined("", section, name), holder) for name, holder in named.items()]
    for pointer, holder in holders:
        if isinstance(holder, dict):
            yield from check_text(holder.get("description"), joined(pointer, "description"))


def check_text(text: JsonValue, pointer: str) -> Iterator[Flaw]:
    """Yield the first invisible character of a text."""
    character = invisible(text) if isinstance(text, str) else None
    if character is not None:
        yield Flaw(pointer, f"holds the invisible character U+{ord(character):04X}", "remove it")


def invisible(text: str) -> str | None:
    """Return the first character that cannot be seen: controls, and what turns text around."""
    for character in text:
        if unicodedata.category(character) in _INVISIBLE and character not in _ALLOWED:
            return character
    return None
