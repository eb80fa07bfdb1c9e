"""Key-value buckets: compare and set, deletion, expiry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from uuid import uuid4

import pytest

from testkit.waiting import ask_until
from weenats import AlreadyExistsError, InvalidArgumentError
from weenats.transport.jetstream import (
    JetStream,
    KeyValue,
    KeyValueEntry,
    StreamMissingError,
    WrongSequenceError,
    bucket_config,
)


@pytest.fixture
def jetstream(either_jetstream: JetStream) -> JetStream:
    """JetStream of the shared server, and that in memory."""
    return either_jetstream


@pytest.fixture
async def bucket(jetstream: JetStream) -> AsyncIterator[KeyValue]:
    """An empty bucket in memory."""
    name = uuid4().hex
    config = replace(bucket_config(name), storage="memory")
    await jetstream.create_stream(config)
    yield jetstream.key_value(name)
    await jetstream.delete_stream(config.name)


async def test_values_have_revisions(bucket: KeyValue) -> None:
    """Each change has a new revision; a stale one does not replace a value."""
    assert await bucket.get("a.b") is None
    first = await bucket.create("a.b", b"1")
    second = await bucket.update("a.b", b"2", first)
    assert await bucket.get("a.b") == KeyValueEntry("a.b", b"2", second)
    with pytest.raises(WrongSequenceError) as raised:
        await bucket.update("a.b", b"3", first)
    assert raised.value.last == second
    assert await bucket.put("a.b", b"4") > second


async def test_of_several_creators_one_wins(bucket: KeyValue) -> None:
    """The others get AlreadyExistsError, also where a value was deleted before."""
    for _ in range(2):
        outcomes = await asyncio.gather(
            *(bucket.create("k", b"") for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(each, int) for each in outcomes) == 1
        assert sum(isinstance(each, AlreadyExistsError) for each in outcomes) == 4
        await bucket.delete("k")
        assert await bucket.get("k") is None


async def test_a_value_expires(bucket: KeyValue) -> None:
    """After its time to live there is no value, and it can be created again."""
    await bucket.create("k", b"1", ttl=1)
    await ask_until(lambda entry: entry is None, partial(bucket.get, "k"))
    await bucket.create("k", b"2")


@pytest.mark.parametrize("key", ["", "a b", "a..b", ".a", "a.", "a*", ">", "ä"])
async def test_malformed_keys_are_refused(bucket: KeyValue, key: str) -> None:
    """Wildcards, spaces and empty tokens are not part of a key."""
    with pytest.raises(InvalidArgumentError, match="not a valid key"):
        await bucket.get(key)


async def test_a_missing_bucket_is_an_error(jetstream: JetStream) -> None:
    """Reading and writing say that there is no stream."""
    bucket = jetstream.key_value("no-such-bucket")
    with pytest.raises(StreamMissingError):
        await bucket.get("k")
    with pytest.raises(StreamMissingError):
        await bucket.create("k", b"")
