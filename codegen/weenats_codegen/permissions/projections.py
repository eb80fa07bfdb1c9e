"""The permissions of those who keep a projection of durable events, read it or rebuild it."""

from collections.abc import Iterator

from weenats.aggregates.store import commit_stream
from weenats.projections.generation import projection_bucket
from weenats.protocol import subjects
from weenats.transport.jetstream.api import PREFIX
from weenats.transport.jetstream.key_value import bucket_stream, bucket_subject
from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entries import Entry, Permissions, inbox


def of_projection(
    contract: Contract, projection: str, *, inbox_prefix: str = "_INBOX"
) -> Permissions:
    """Return the permissions of a projection whose view is in a bucket.

    Args:
        contract: The contract whose events it reads.
        projection: The name of the projection.
        inbox_prefix: The prefix in its ConnectionOptions.

    Returns:
        What the user of the projection may do.

    Raises:
        SubjectError: The name or the prefix is invalid.
    """
    subjects.check_queue_group(projection)
    if not contract.streams:
        return Permissions((), ())
    return Permissions(
        (*_reading(contract), *_keeping(projection_bucket(projection)), *_counting(contract)),
        (inbox(inbox_prefix),),
    )


def _reading(contract: Contract) -> Iterator[Entry]:
    for stream in contract.streams:
        yield Entry(f"{PREFIX}STREAM.INFO.{stream.name}", "the reader: check the stream")
        for operation, purpose in (
            ("CREATE", "the reader: create its consumer"),
            ("INFO", "the reader: check its consumer"),
            ("MSG.NEXT", "the reader: events"),
            ("DELETE", "the reader: delete its consumer"),
        ):
            yield Entry(f"{PREFIX}CONSUMER.{operation}.{stream.name}.*", purpose)


def _keeping(bucket: str) -> Iterator[Entry]:
    yield Entry(bucket_subject(bucket, ">"), "the view: write")
    for operation, purpose in (
        ("DIRECT.GET", "the view: read"),
        ("STREAM.MSG.GET", "the view: read the latest values"),
        ("STREAM.INFO", "the view: settings of the bucket"),
        ("STREAM.CREATE", "the view: create the bucket"),
        ("STREAM.UPDATE", "the view: restore settings of the bucket"),
        ("STREAM.PURGE", "the view: remove an old one"),
    ):
        yield Entry(f"{PREFIX}{operation}.{bucket_stream(bucket)}", purpose)


def _counting(contract: Contract) -> Iterator[Entry]:
    if contract.stored:
        consumers = f"{PREFIX}CONSUMER.INFO.{commit_stream(contract.service)}.*"
        yield Entry(consumers, "rebuild --status: events that are not sent yet")
