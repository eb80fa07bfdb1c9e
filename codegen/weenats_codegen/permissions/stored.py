"""The permissions of services that keep aggregates in streams."""

from collections.abc import Iterator
from typing import Literal

from weenats.aggregates.snapshots import snapshot_bucket
from weenats.aggregates.store import commit_stream
from weenats.transport.jetstream.api import PREFIX
from weenats.transport.jetstream.messages import ACK_PREFIX
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entries import Entry


def publishing(contract: Contract, streams: Literal["apply", "check"] | None) -> Iterator[Entry]:
    """Yield the subjects to which a service publishes for its stored aggregates.

    Args:
        contract: The contract.
        streams: What `with_streams` was called with; None if it was not.
    """
    if not contract.stored:
        return
    name = contract.service
    commits, bucket = commit_stream(name), snapshot_bucket(name)
    for aggregate in contract.stored:
        yield Entry(f"{name}.commits.*.{aggregate.name}.*", f"commits of {aggregate.name}")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the stream of commits"),
        ("STREAM.MSG.GET", "the last commit of a key"),
        ("DIRECT.GET", "commits"),
    ):
        yield Entry(f"{PREFIX}{operation}.{commits}", purpose)
    for operation, purpose in (
        ("CONSUMER.CREATE", "what sends events on"),
        ("CONSUMER.DELETE", "the same, if somebody has changed it"),
        ("CONSUMER.INFO", "the same"),
        ("CONSUMER.MSG.NEXT", "commits whose events are sent on"),
        ("CONSUMER.UNPIN", "lets another instance send events on"),
    ):
        yield Entry(f"{PREFIX}{operation}.{commits}.*", purpose)
    yield Entry(f"{ACK_PREFIX}{commits}.>", "commits whose events were sent on")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the snapshots"),
        ("DIRECT.GET", "the snapshot of a key"),
    ):
        yield Entry(f"{PREFIX}{operation}.KV_{bucket}", purpose)
    for aggregate in contract.stored:
        yield Entry(f"$KV.{bucket}.{aggregate.name}.*", f"snapshots of {aggregate.name}")
    if streams != "check":
        for name in (commits, f"KV_{bucket}"):
            yield Entry(f"{PREFIX}STREAM.CREATE.{name}", "creates the stream if it is missing")


def operating(contract: Contract) -> Iterator[Entry]:
    """Yield what `weenats streams` and `weenats history` need for stored aggregates.

    Args:
        contract: The contract.
    """
    if contract.stored:
        commits = commit_stream(contract.service)
        for name in (commits, f"KV_{snapshot_bucket(contract.service)}"):
            yield Entry(f"{PREFIX}STREAM.INFO.{name}", "streams plan")
            yield Entry(f"{PREFIX}STREAM.CREATE.{name}", "streams apply")
            yield Entry(f"{PREFIX}STREAM.UPDATE.{name}", "streams apply")
            yield Entry(f"{PREFIX}STREAM.DELETE.{name}", "streams apply --force")
        yield Entry(f"{PREFIX}CONSUMER.LIST.{commits}", "top")
        yield Entry(f"{PREFIX}DIRECT.GET.{commits}", "history, top")
