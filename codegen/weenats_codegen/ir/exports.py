"""What a package exports besides the classes of its schemas."""

from collections.abc import Iterator

from weenats_codegen import naming
from weenats_codegen.ir.streams import streams
from weenats_codegen.parser.walk import Node, entries, owners


def exports(contract: Node) -> Iterator[tuple[str, Node]]:
    """Yield the Python names that a package exports, and what has them.

    Args:
        contract: The content of service.yaml.
    """
    for error in entries(contract, "errors"):
        yield naming.error_class_name(error.name), error.node
    for name, node in owners(contract):
        if name:
            yield naming.aggregate_constant_name(name), node
    for section in ("commands", "queries", "events"):
        for entry in entries(contract, section):
            yield naming.constant_name(entry.python_name), entry.node
    service = contract.get("service")
    if isinstance(service.value, str):
        yield naming.client_class_name(service.value), service
        yield naming.sync_client_class_name(service.value), service
        yield naming.handlers_class_name(service.value), service
        for stream in streams(contract):
            yield stream.constant, service
        if streams(contract):
            yield naming.consumer_class_name(service.value), service
