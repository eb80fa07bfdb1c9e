"""What a service needs of JetStream, by what its contract says."""

from collections.abc import Iterator

from weenats_codegen.ir.contract import Contract
from weenats_codegen.permissions.entry import Entry


def jetstream_of_service(contract: Contract) -> tuple[Entry, ...]:
    """Return the subjects that a service publishes to for JetStream; () if it does not use it.

    Args:
        contract: The contract.
    """
    return tuple(_once(contract))


def _once(contract: Contract) -> Iterator[Entry]:
    """Yield what commands with `once` need: the bucket of the replies that are kept."""
    if all(each.once is None for each in contract.commands):
        return
    bucket = f"{contract.service}-once"
    yield Entry(f"$KV.{bucket}.*", "kept replies, once")
    yield from bucket_entries(bucket, "kept replies, once")


def bucket_entries(bucket: str, purpose: str) -> Iterator[Entry]:
    """Yield what is needed to create a bucket at start, and to read its values.

    Args:
        bucket: The name of the bucket.
        purpose: What it is used for.
    """
    stream = f"KV_{bucket}"
    yield Entry(f"$JS.API.STREAM.INFO.{stream}", f"{purpose}: the bucket")
    yield Entry(f"$JS.API.STREAM.CREATE.{stream}", f"{purpose}: the bucket, if there is none")
    yield Entry(f"$JS.API.DIRECT.GET.{stream}", f"{purpose}: values")
