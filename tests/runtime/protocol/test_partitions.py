"""Partitions of keys."""

from __future__ import annotations

from uuid import uuid4

import pytest

from weenats import NatsTransport
from weenats.protocol.partitions import partition_of
from weenats.transport.jetstream import JetStream, StreamConfig


@pytest.mark.parametrize("partitions", [1, 7, 16])
async def test_partitions_are_those_of_the_server(nats_url: str, partitions: int) -> None:
    """`partition()` of a subject transform of the server gives the same number."""
    transport = NatsTransport(nats_url)
    jetstream = JetStream(transport)
    name = uuid4().hex
    transform = {"src": f"{name}.*", "dest": f"{name}.{{{{partition({partitions},1)}}}}.x"}
    await jetstream.create_stream(
        StreamConfig(name, (f"{name}.*",), storage="memory", other={"subject_transform": transform})
    )
    for key in ("r-1", "a", "R_2", "k" * 50, "01K0000000", "ä"):
        ack = await jetstream.publish(f"{name}.{key}", b"")
        stored = await jetstream.get(name, ack.sequence)
        assert int(stored.subject.split(".")[1]) == partition_of(key, partitions), key
    await jetstream.delete_stream(name)
    await transport.close()


def test_what_has_no_key_is_in_partition_0() -> None:
    """Events of the service itself keep their order among each other."""
    assert partition_of("", 16) == 0
