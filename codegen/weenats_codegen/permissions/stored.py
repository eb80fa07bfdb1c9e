"""The permissions of services that keep aggregates in streams."""

from collections.abc import Iterator
from typing import Literal

from weenats.aggregates.snapshots import snapshot_bucket
from weenats.aggregates.store import commit_stream
from weenats.protocol import subjects
from weenats.transport.jetstream.api import PREFIX
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject
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
    snapshots = bucket_stream(bucket)
    for aggregate in contract.stored:
        yield Entry(subjects.commits_of(name, aggregate.name), f"commits of {aggregate.name}")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the stream of commits"),
        ("STREAM.MSG.GET", "the last commit of a key"),
        ("DIRECT.GET", "commits"),
    ):
        yield Entry(f"{PREFIX}{operation}.{commits}", purpose)
    for operation, purpose in (
        ("CONSUMER.CREATE", "the relay: create its consumer"),
        ("CONSUMER.DELETE", "the relay: restore its consumer"),
        ("CONSUMER.INFO", "the relay: check its consumer"),
        ("CONSUMER.MSG.NEXT", "the relay: commits whose events it publishes"),
        ("CONSUMER.UNPIN", "the relay: let another instance take over"),
    ):
        yield Entry(f"{PREFIX}{operation}.{commits}.*", purpose)
    yield Entry(f"{ACK_PREFIX}{commits}.>", "the relay: acknowledge commits")
    for operation, purpose in (
        ("STREAM.INFO", "settings of the snapshots"),
        ("DIRECT.GET", "the snapshot of a key"),
    ):
        yield Entry(f"{PREFIX}{operation}.{snapshots}", purpose)
    for aggregate in contract.stored:
        subject = bucket_subject(bucket, f"{aggregate.name}.*")
        yield Entry(subject, f"snapshots of {aggregate.name}")
    if streams != "check":
        for name in (commits, snapshots):
            yield Entry(f"{PREFIX}STREAM.CREATE.{name}", "creates the stream if it is missing")


def operating(contract: Contract) -> Iterator[Entry]:
    """Yield what `weenats streams` and `weenats history` need for stored aggregates.

    Args:
        contract: The contract.
    """
    if contract.stored:
        commits = commit_stream(contract.service)
        for name in (commits, bucket_stream(snapshot_bucket(contract.service))):
            yield Entry(f"{PREFIX}STREAM.INFO.{name}", "streams plan")
            yield Entry(f"{PREFIX}STREAM.CREATE.{name}", "streams apply")
            yield Entry(f"{PREFIX}STREAM.UPDATE.{name}", "streams apply")
            yield Entry(f"{PREFIX}STREAM.DELETE.{name}", "streams apply --force")
        yield Entry(f"{PREFIX}CONSUMER.LIST.{commits}", "top")
        yield Entry(f"{PREFIX}DIRECT.GET.{commits}", "history, top")
