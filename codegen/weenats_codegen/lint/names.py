"""Names that are different in the contract and the same in Python."""

from collections.abc import Iterable, Iterator
from typing import Final

from weenats_codegen import naming
from weenats_codegen.ir.exports import exports
from weenats_codegen.lint.stored import is_stored
from weenats_codegen.parser.diagnostics import Diagnostic, Location
from weenats_codegen.parser.pages import is_paged
from weenats_codegen.parser.walk import STANDARD_QUERY, Node, entries, owners

_REMEDY: Final = "rename one of them"
_OF_STORED: Final = ("emit", "reply")
"""The methods of handlers of aggregates that are kept in a stream."""
_NOT_STANDARD: Final = (
    "has the name of the standard query of aggregates",
    "rename it, or move it to the queries of an aggregate",
)

_Clashes = dict[tuple["Location", "Location"], "Diagnostic"]


def check_names(contract: Node) -> Iterator[Diagnostic]:
    """Yield names that become the same method of the client, or the same export of the package.

    The classes of schemas are not among them: they get names that are free.

    Args:
        contract: The content of service.yaml.
    """
    clashes: _Clashes = {}
    _add_clashes(_methods(contract), clashes)
    for section in ("commands", "queries"):
        for entry in entries(contract, section):
            if entry.name == STANDARD_QUERY and not entry.is_standard:
                yield entry.node.diagnostic(*_NOT_STANDARD)
    _add_clashes(exports(contract), clashes)
    yield from clashes.values()


def _add_clashes(names: Iterable[tuple[str, Node]], clashes: _Clashes) -> None:
    """Add the names that an earlier node has, once for each pair of nodes."""
    owners: dict[str, Node] = {}
    for name, node in names:
        other = owners.setdefault(name, node).location
        if other != node.location:
            message = f"becomes {name} in Python, as does {other.pointer}"
            clashes.setdefault((node.location, other), node.diagnostic(message, _REMEDY))


def _methods(contract: Node) -> Iterator[tuple[str, Node]]:
    for section in ("commands", "queries"):
        for entry in entries(contract, section):
            yield naming.method_name(entry.python_name), entry.node
            if is_paged(entry.node):
                yield naming.iterating_method(entry.python_name), entry.node
    for entry in entries(contract, "events"):
        for method in naming.event_methods(entry.name):
            yield method, entry.node
    stored = [node for name, node in owners(contract) if name and is_stored(node)]
    yield from ((method, node) for node in stored[:1] for method in _OF_STORED)
    for aggregate in stored:
        for event, node in aggregate.get("events").members.items():
            yield naming.method_name(event), node
