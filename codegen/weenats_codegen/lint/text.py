"""Descriptions and titles must not contain characters that are invisible or reorder text."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import OPERATION_SCHEMAS, Node

_ALLOWED: Final = frozenset("\n\t\u200c\u200d")  # scripts and emoji need the joiners
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def check_descriptions(contract: Node) -> Iterator[Diagnostic]:
    """Yield the descriptions of a service.yaml that contain invisible characters."""
    described = [contract, contract.get("aggregate")]
    for section in OPERATION_SCHEMAS:
        described += contract.get(section).members.values()
    for node in described:
        yield from check_text(node.get("description"))


def check_text(text: Node) -> Iterator[Diagnostic]:
    """Yield the first invisible character of a text."""
    for character in text.value if isinstance(text.value, str) else "":
        if unicodedata.category(character) in _INVISIBLE and character not in _ALLOWED:
            message = f"contains the invisible character U+{ord(character):04X}"
            yield text.diagnostic(message, "remove it")
            return
