"""What a package exports besides the classes of its schemas."""

from collections.abc import Iterator

from weenats_codegen import naming
from weenats_codegen.parser.walk import Node, entries


def exports(contract: Node) -> Iterator[tuple[str, Node]]:
    """Yield the Python names that a package exports, and what has them.

    Args:
        contract: The content of service.yaml.
    """
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
