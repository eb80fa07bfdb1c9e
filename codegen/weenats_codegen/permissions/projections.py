"""The permissions of those who keep a projection of durable events, read it or rebuild it."""

from collections.abc import Iterator

from weenats.aggregates.store import commit_stream
from weenats.projections.generation import projection_bucket
from weenats.protocol import subjects
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entries import Entry, Permissions, api, inbox


def of_projection(
    contract: Contract, projection: str, *, inbox_prefix: str = "_INBOX"
) -> Permissions:
    """Return the permissions of a projection whose view is in a bucket.

    Args:
        contract: The contract whose events it reads, of which some are durable.
        projection: The name of the projection.
        inbox_prefix: The prefix in its ConnectionOptions.

    Returns:
        What the user of the projection may do.

    Raises:
        SubjectError: The name or the prefix is invalid.
    """
    subjects.check_queue_group(projection)
    return Permissions(
        (*_reading(contract), *_keeping(projection_bucket(projection)), *_counting(contract)),
        (inbox(inbox_prefix),),
    )


def _reading(contract: Contract) -> Iterator[Entry]:
    for stream in contract.streams:
        yield api("STREAM.INFO", stream.name, "the reader: check the stream")
        yield api("STREAM.MSG.GET", stream.name, "the reader: the last event")
        consumer = f"{stream.name}.*"
        yield api("CONSUMER.CREATE", consumer, "the reader: create its consumer")
        yield api("CONSUMER.INFO", consumer, "the reader: check its consumer")
        yield api("CONSUMER.MSG.NEXT", consumer, "the reader: events")
        yield api("CONSUMER.DELETE", consumer, "the reader: delete its consumer")


def _keeping(bucket: str) -> Iterator[Entry]:
    yield Entry(bucket_subject(bucket, ">"), "the view: write")
    stream = bucket_stream(bucket)
    yield api("DIRECT.GET", stream, "the view: read")
    yield api("STREAM.MSG.GET", stream, "the view: read the latest values")
    yield api("STREAM.INFO", stream, "the view: settings of the bucket")
    yield api("STREAM.CREATE", stream, "the view: create the bucket")
    yield api("STREAM.UPDATE", stream, "the view: restore settings of the bucket")
    yield api("STREAM.PURGE", stream, "the view: remove an old one")


def _counting(contract: Contract) -> Iterator[Entry]:
    if contract.stored:
        consumers = f"{commit_stream(contract.service)}.*"
        yield api("CONSUMER.INFO", consumers, "rebuild --status: events that are not sent yet")
