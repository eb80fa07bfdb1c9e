"""Names that are different in the contract and the same in Python."""

from collections.abc import Iterable, Iterator
from typing import Final

from weenats_codegen import naming
from weenats_codegen.ir.exports import exports
from weenats_codegen.parser.diagnostics import Diagnostic, Location
from weenats_codegen.parser.pages import is_paged
from weenats_codegen.parser.walk import Node, entries

_REMEDY: Final = "rename one of them"

_Clashes = dict[tuple["Location", "Location"], "Diagnostic"]


def check_names(contract: Node) -> Iterator[Diagnostic]:
    """Yield names that become the same method of the client, or the same export of the package.

    The classes of schemas are not among them: they get names that are free.

    Args:
        contract: The content of service.yaml.
    """
    clashes: _Clashes = {}
    _add_clashes(_methods(contract), clashes)
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
        for name, node in entries(contract, section).items():
            yield naming.method_name(name), node
            if is_paged(node):
                yield naming.iterating_method(name), node
    for name, node in entries(contract, "events").items():
        for method in naming.event_methods(name):
            yield method, node
