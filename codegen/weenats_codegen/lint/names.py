"""Names that are different in the contract and the same in Python."""

from collections.abc import Iterable, Iterator
from typing import Final

from weenats_codegen import naming
from weenats_codegen.ir.bundler import Bundler
from weenats_codegen.parser.diagnostics import Diagnostic, Location
from weenats_codegen.parser.walk import Node, entries

_REMEDY: Final = "rename one of them"

_Clashes = dict[tuple["Location", "Location"], "Diagnostic"]


def check_names(contract: Node, bundle: Bundler | None) -> Iterator[Diagnostic]:
    """Yield names that become the same method of the client, or the same export of the package.

    Args:
        contract: The content of service.yaml.
        bundle: Its schemas, None if they are not valid enough to know the classes of the models.
    """
    clashes: _Clashes = {}
    _owners(_methods(contract), clashes)
    exports = _owners(_exports(contract), clashes)
    yield from clashes.values()
    if bundle is None:
        return
    reported = tuple(f"{location.pointer}/" for location, _ in clashes)
    for diagnostic in bundle.diagnostics:
        if not diagnostic.location.pointer.startswith(reported):
            yield diagnostic
    for name in bundle.locations.keys() & exports:
        message = f"becomes {name} in Python, as does the schema {bundle.locations[name]}"
        yield exports[name].diagnostic(message, _REMEDY)


def _owners(names: Iterable[tuple[str, Node]], clashes: _Clashes) -> dict[str, Node]:
    """Return the first node of each name; add the others to the clashes, once for each pair."""
    owners: dict[str, Node] = {}
    for name, node in names:
        other = owners.setdefault(name, node).location
        if other != node.location:
            message = f"becomes {name} in Python, as does {other.pointer}"
            clashes.setdefault((node.location, other), node.diagnostic(message, _REMEDY))
    return owners


def _methods(contract: Node) -> Iterator[tuple[str, Node]]:
    for section in ("commands", "queries"):
        for name, node in entries(contract, section).items():
            yield naming.method_name(name), node
    for name, node in entries(contract, "events").items():
        for method in naming.event_methods(name):
            yield method, node


def _exports(contract: Node) -> Iterator[tuple[str, Node]]:
    for name, node in entries(contract, "errors").items():
        yield naming.error_class_name(name), node
    for section in ("commands", "queries", "events"):
        for name, node in entries(contract, section).items():
            yield naming.constant_name(name), node
    service = contract.get("service")
    if isinstance(service.value, str):
        yield naming.client_class_name(service.value), service
        yield naming.sync_client_class_name(service.value), service
        yield naming.handlers_class_name(service.value), service
