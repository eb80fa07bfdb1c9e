"""Descriptions in service.yaml must not contain characters that are invisible or reorder text."""

from collections.abc import Iterator

from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.text import is_invisible
from weenats_codegen.parser.walk import OPERATION_SCHEMAS, Node


def check_descriptions(contract: Node) -> Iterator[Diagnostic]:
    """Yield the descriptions of a service.yaml that contain invisible characters."""
    aggregates = [*contract.get("aggregates").members.values()]
    described = [contract, *aggregates]
    for section in OPERATION_SCHEMAS:
        for owner in (contract, *aggregates):
            described += owner.get(section).members.values()
    for node in described:
        yield from _check(node.get("description"))


def _check(text: Node) -> Iterator[Diagnostic]:
    """Yield the first invisible character of a text."""
    for character in text.value if isinstance(text.value, str) else "":
        if is_invisible(character):
            message = f"contains the invisible character U+{ord(character):04X}"
            yield text.diagnostic(message, "remove it")
            return
