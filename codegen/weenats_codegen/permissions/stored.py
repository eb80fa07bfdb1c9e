"""The permissions of services that keep aggregates in streams."""

from collections.abc import Iterator
from typing import Literal

from weenats.aggregates.snapshots import snapshot_bucket
from weenats.aggregates.store import commit_stream
from weenats.protocol import subjects
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject
from weenats.transport.jetstream.messages import ACK_PREFIX
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entries import Entry, api


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
    yield api("STREAM.INFO", commits, "settings of the stream of commits")
    yield api("STREAM.MSG.GET", commits, "the last commit of a key")
    yield api("DIRECT.GET", commits, "commits")
    relay = f"{commits}.*"
    yield api("CONSUMER.CREATE", relay, "the relay: create its consumer")
    yield api("CONSUMER.DELETE", relay, "the relay: restore its consumer")
    yield api("CONSUMER.INFO", relay, "the relay: check its consumer")
    yield api("CONSUMER.MSG.NEXT", relay, "the relay: commits whose events it publishes")
    yield api("CONSUMER.UNPIN", relay, "the relay: let another instance take over")
    yield Entry(f"{ACK_PREFIX}{commits}.>", "the relay: acknowledge commits")
    yield api("STREAM.INFO", snapshots, "settings of the snapshots")
    yield api("DIRECT.GET", snapshots, "the snapshot of a key")
    for aggregate in contract.stored:
        subject = bucket_subject(bucket, f"{aggregate.name}.*")
        yield Entry(subject, f"snapshots of {aggregate.name}")
    if streams != "check":
        for name in (commits, snapshots):
            yield api("STREAM.CREATE", name, "creates the stream if it is missing")


def operating(contract: Contract) -> Iterator[Entry]:
    """Yield what `weenats streams` and `weenats history` need for stored aggregates.

    Args:
        contract: The contract.
    """
    if contract.stored:
        commits = commit_stream(contract.service)
        for name in (commits, bucket_stream(snapshot_bucket(contract.service))):
            yield api("STREAM.INFO", name, "streams plan, status")
            yield api("STREAM.CREATE", name, "streams apply")
            yield api("STREAM.UPDATE", name, "streams apply")
            yield api("STREAM.DELETE", name, "streams apply --force")
        yield api("CONSUMER.LIST", commits, "top")
        yield api("DIRECT.GET", commits, "history, top")
