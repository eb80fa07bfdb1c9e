"""The permissions of a service for its buckets: of kept replies, and of limits that it shares."""

from collections.abc import Iterator

from weenats.durability.guarantees import SERVERS
from weenats.idempotency.replies import replies_bucket
from weenats.large.objects import objects_config
from weenats.rate_limit.ledger import ledger_bucket
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entries import Entry, api


def buckets(contract: Contract, *, shared_limits: bool = False) -> tuple[Entry, ...]:
    """Return the subjects that a service publishes to for its buckets; () if it has none.

    Args:
        contract: The contract.
        shared_limits: Whether its instances share their rate limits.
    """
    limits = _limits(contract) if shared_limits else ()
    large = any(each.large is not None for each in contract.operations)
    return (*_once(contract), *limits, *(_large(contract) if large else ()))


def large_of_client(contract: Contract) -> tuple[Entry, ...]:
    """Return what a client of large operations publishes to.

    Args:
        contract: The contract.
    """
    *entries, _, _ = _large(contract)  # the service creates and checks the bucket
    return tuple(entries)


def _large(contract: Contract) -> Iterator[Entry]:
    """Yield what large payloads and results need: the object store that they travel through."""
    config = objects_config(contract.service)
    for subject in config.subjects:
        yield Entry(subject, "large payloads: write")
    yield api("DIRECT.GET", config.name, "large payloads: read")
    yield api("STREAM.CREATE", config.name, "large payloads: create the bucket")
    yield api("STREAM.INFO", config.name, "large payloads: settings of the bucket")


def guarantees(contract: Contract) -> tuple[Entry, ...]:
    """Return what a service that stores something asks the servers at start, () for others.

    Args:
        contract: The contract.
    """
    kept = contract.streams or contract.stored
    if not kept and all(each.once is None for each in contract.commands):
        return ()
    return (Entry(SERVERS, "durability, if it is exported"),)


def _once(contract: Contract) -> Iterator[Entry]:
    """Yield what commands with `once` need: the bucket of the replies that are kept."""
    if all(each.once is None for each in contract.commands):
        return
    bucket = replies_bucket(contract.service)
    stream = bucket_stream(bucket)
    yield api("STREAM.INFO", stream, "kept replies: settings of the bucket")
    yield from _bucket(bucket, "kept replies")


def _limits(contract: Contract) -> Iterator[Entry]:
    """Yield what limits need that instances share: the bucket of what is taken of them."""
    return _bucket(ledger_bucket(contract.service), "shared limits")


def _bucket(bucket: str, purpose: str) -> Iterator[Entry]:
    """Yield what is needed to create a bucket, and to read and write its values."""
    stream = bucket_stream(bucket)
    yield Entry(bucket_subject(bucket, "*"), f"{purpose}: write")
    yield api("DIRECT.GET", stream, f"{purpose}: read")
    yield api("STREAM.CREATE", stream, f"{purpose}: create the bucket")
