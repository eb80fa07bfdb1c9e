"""What a service uses that keeps aggregates in streams."""

from collections.abc import Iterator

from weenats.aggregates.snapshots import snapshot_bucket
from weenats.aggregates.store import commit_stream
from weenats.protocol.subjects import check_inbox_prefix, stored_event
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entry import Entry

_API = "$JS.API."


def published(contract: Contract) -> Iterator[Entry]:
    """Yield the subjects to which a service publishes for its stored aggregates.

    Args:
        contract: The contract.
    """
    if not contract.stored:
        return
    name = contract.service
    commits, bucket = commit_stream(name), snapshot_bucket(name)
    for aggregate in contract.stored:
        yield Entry(f"{name}.commits.*.{aggregate.name}.*", f"commits of {aggregate.name}")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the stream of commits"),
        ("STREAM.CREATE", "creates the stream of commits if it is missing"),
        ("STREAM.MSG.GET", "the last commit of a key"),
        ("DIRECT.GET", "commits"),
    ):
        yield Entry(f"{_API}{operation}.{commits}", purpose)
    for operation, purpose in (
        ("CONSUMER.CREATE", "what sends events on"),
        ("CONSUMER.INFO", "the same"),
        ("CONSUMER.MSG.NEXT", "commits whose events are sent on"),
    ):
        yield Entry(f"{_API}{operation}.{commits}.*", purpose)
    yield Entry(f"$JS.ACK.{commits}.>", "commits whose events were sent on")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the snapshots"),
        ("STREAM.CREATE", "creates the snapshots if they are missing"),
        ("DIRECT.GET", "the snapshot of a key"),
    ):
        yield Entry(f"{_API}{operation}.KV_{bucket}", purpose)
    for aggregate in contract.stored:
        yield Entry(f"$KV.{bucket}.{aggregate.name}.*", f"snapshots of {aggregate.name}")
    for event in contract.events:
        if event.is_stored and event.stream is not None and event.aggregate is not None:
            path = f"{event.aggregate.name}.{event.name}"
            yield Entry(stored_event(name, "*", path), f"event {event.name}")


def subscribed(contract: Contract, inbox_prefix: str) -> Iterator[Entry]:
    """Yield the subjects to which a service subscribes for its stored aggregates.

    Args:
        contract: The contract.
        inbox_prefix: The prefix in its ConnectionOptions.

    Raises:
        SubjectError: The prefix is invalid.
    """
    if contract.stored:
        prefix = check_inbox_prefix(inbox_prefix)
        yield Entry(f"{prefix}.>", "replies of JetStream, to all users with this prefix")
