"""The permissions for durable events: of those who publish, consume and operate them."""

from collections.abc import Collection, Iterator
from typing import Literal

from weenats.projections.generation import projection_bucket
from weenats.protocol import subjects
from weenats.transport.jetstream.api import PREFIX
from weenats.transport.jetstream.key_value import bucket_stream
from weenats.transport.jetstream.messages import ACK_PREFIX
from weenats_codegen.ir.contract import Contract
from weenats_codegen.ir.streams import Stream
from weenats_codegen.permissions import stored
from weenats_codegen.permissions.buckets import guarantees
from weenats_codegen.permissions.entries import Entry, Permissions, api, inbox


def of_consumer(contract: Contract, consumer: str, *, inbox_prefix: str = "_INBOX") -> Permissions:
    """Return the permissions of a durable consumer.

    Args:
        contract: The contract whose events it consumes, of which some are durable.
        consumer: The name of the consumer.
        inbox_prefix: The prefix in its ConnectionOptions.

    Returns:
        What the user of the consumer may do.

    Raises:
        SubjectError: The name or the prefix is invalid.
    """
    subjects.check_queue_group(consumer)
    publish = [
        entry for stream in contract.streams for entry in _consuming(contract, stream, consumer)
    ]
    return Permissions(tuple(publish), (inbox(inbox_prefix),))


def of_operator(
    contract: Contract, *, projections: Collection[str] = (), inbox_prefix: str = "_INBOX"
) -> Permissions:
    """Return the permissions for `weenats streams`, `dead-letters`, `history` and `top`.

    Args:
        contract: The contract.
        projections: The names of projections whose progress `streams status` and `top` show.
        inbox_prefix: The prefix in the ConnectionOptions of the user; that of commands is _INBOX.

    Returns:
        What the user may do.

    Raises:
        SubjectError: The prefix or the name of a projection is invalid.
    """
    publish = [entry for stream in contract.streams for entry in _operating(contract, stream)]
    publish += guarantees(contract)
    publish += stored.operating(contract)
    if contract.streams:
        publish.append(Entry(f"{PREFIX}STREAM.LIST", "streams status, top: which projections"))
    for each in projections:
        bucket = projection_bucket(subjects.check_queue_group(each))
        purpose = f"streams status, top: how far {each} is"
        publish.append(api("DIRECT.GET", bucket_stream(bucket), purpose))
    for subject in (subjects.discovery("STATS"), subjects.discovery("STATS", contract.service)):
        publish.append(Entry(subject, "top"))
    return Permissions(tuple(publish), (inbox(inbox_prefix),))


def publishing(contract: Contract, streams: Literal["apply", "check"] | None) -> Iterator[Entry]:
    """Yield what a service needs for its streams, besides the subjects of its events.

    Args:
        contract: The contract.
        streams: What `with_streams` was called with; None if it was not.
    """
    for stream in contract.streams:
        for name in (stream.name, stream.dead_letters):
            yield api("STREAM.INFO", name, "whether the stream exists")
            if streams != "check":
                yield api("STREAM.CREATE", name, "creates the stream if it is missing")
            if streams == "apply":
                yield api("STREAM.UPDATE", name, "with_streams")


def _consuming(contract: Contract, stream: Stream, consumer: str) -> Iterator[Entry]:
    yield api("STREAM.INFO", stream.name, "the number of partitions")
    yield api("DIRECT.GET", stream.name, "how long the oldest event waits")
    for partition in range(stream.partitions):
        part = f"{stream.name}.{consumer}-{partition}"
        yield api("CONSUMER.INFO", part, f"partition {partition}")
        yield api("CONSUMER.CREATE", part, f"partition {partition}")
        yield api("CONSUMER.DELETE", part, "if somebody has changed it")
        yield api("CONSUMER.MSG.NEXT", part, f"events of partition {partition}")
        yield Entry(f"{ACK_PREFIX}{part}.>", f"acknowledgements of partition {partition}")
    yield Entry(subjects.dead_letter(stream.name, contract.service, consumer), "dead letters")
    yield api("STREAM.INFO", stream.dead_letters, "whether their stream exists")
    yield api("DIRECT.GET", stream.dead_letters, "whether one was removed")


def _operating(contract: Contract, stream: Stream) -> Iterator[Entry]:
    letters = stream.dead_letters
    for name in (stream.name, letters):
        yield api("STREAM.INFO", name, "streams plan, status")
        yield api("STREAM.CREATE", name, "streams apply")
        yield api("STREAM.UPDATE", name, "streams apply")
        yield api("STREAM.DELETE", name, "streams apply --force")
    yield api("CONSUMER.LIST", stream.name, "streams status, top")
    yield api("DIRECT.GET", stream.name, "streams status, top")
    for verb in ("INFO", "CREATE", "DELETE"):
        yield api(f"CONSUMER.{verb}", f"{stream.name}.*", "streams replay")
    yield api("DIRECT.GET", letters, "dead-letters list, show")
    yield api("STREAM.MSG.DELETE", letters, "dead-letters drop, retry")
    retries = subjects.retry(stream.name, contract.service, "*", "*")
    yield Entry(retries, "dead-letters retry")
