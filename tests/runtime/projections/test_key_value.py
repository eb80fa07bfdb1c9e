"""Views in key-value buckets, and the atomic batches that store them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from traceback import format_exception
from typing import Any, cast

import pytest
from pydantic import BaseModel, ConfigDict

from testkit.parcels import PARCELS_EVENTS_STREAM
from testkit.projections import NAME
from weenats import FailedPreconditionError, NatsTransport
from weenats.model import Model
from weenats.projections import Generation, KeyValueView
from weenats.projections.bucket import ensure_bucket
from weenats.projections.view import Checkpoint
from weenats.transport.jetstream import (
    BatchMessage,
    JetStream,
    JetStreamRefusedError,
    JetStreamUnavailableError,
    PublishAck,
    StreamMissingError,
    WrongSequenceError,
    bucket_config,
    publish_batch,
)

BUCKET = f"KV_{NAME}-projection"


class Measured(BaseModel):
    """A value with numbers that JSON does not have."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    number: float
    other: int | None = None


class Place(Model):
    """A value."""

    shelf: int


@pytest.fixture
async def generation(transport: NatsTransport) -> Generation:
    """The first generation of a projection with a bucket."""
    await ensure_bucket(JetStream(transport), NAME, PARCELS_EVENTS_STREAM)
    return Generation(NAME, 1, transport)


async def test_values_and_keys(generation: Generation) -> None:
    """Any text is a part of a key; values have their type; what is deleted is gone."""
    view = KeyValueView.of(Place)(generation)
    keys = [("a", "b.c *"), ("a", "ä/>"), ("a b",), ("a-b",)]
    async with view.transaction(Checkpoint(0, 4)):
        for number, key in enumerate(keys):
            await view.put(key, Place(shelf=number))
            assert await view.get(key) == Place(shelf=number)
    other = KeyValueView.of(Place)(generation)
    assert await other.position() == 4
    assert [each async for each in other.items()] == [
        (key, Place(shelf=number)) for number, key in enumerate(keys)
    ]
    assert {key async for key, _ in other.items("a")} == set(keys[:2])
    async with other.transaction(Checkpoint(4, 5)):
        await other.delete("a b")
        assert await other.get("a b") is None
        assert await other.get("a-b") == Place(shelf=3)
        (await other.get("a-b") or Place(shelf=0)).shelf = 9  # not stored
    assert await view.get("a b") is None
    assert await view.get("a-b") == Place(shelf=3)
    await view.drop()
    assert [each async for each in view.items()] == []
    assert await view.position() == 0


@pytest.mark.parametrize("position", [b"", b"x", b"-5", b"1.5", b" 1", b"1_0", b"9" * 5000])
async def test_a_position_that_is_not_valid(generation: Generation, position: bytes) -> None:
    """What others have written in place of the position is refused, whatever it is."""
    view = KeyValueView(generation, int)
    await (
        JetStream(generation.transport).key_value(f"{NAME}-projection").put("1.position", position)
    )
    with pytest.raises(FailedPreconditionError, match="the position of generation 1") as raised:
        await view.position()
    assert raised.value.of_connection


async def test_a_value_that_is_not_of_its_type(generation: Generation) -> None:
    """The error says what to do, and does not have the value."""
    view = KeyValueView(generation, Place)
    await (
        JetStream(generation.transport)
        .key_value(f"{NAME}-projection")
        .put("1.value.p-1", b'{"shelf":"secret"}')
    )
    with pytest.raises(FailedPreconditionError, match="build the projection anew") as raised:
        await view.get("p-1")
    assert "secret" not in "".join(format_exception(raised.value))
    assert raised.value.of_connection  # so callers of a handler that reads it get INTERNAL
    with pytest.raises(FailedPreconditionError, match="is not of its type"):
        _ = [each async for each in view.items()]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (float, math.nan),
        (float | None, math.inf),
        (dict[str, float | None], {"secret": math.nan}),
        (dict[str, Any], {"secret": [(None, math.inf)]}),
        (int, "secret"),
        (dict[str, Any], {"secret": "\ud800"}),
        (Any, reduce(lambda part, _: [part], range(200), ["secret"])),
    ],
)
@pytest.mark.filterwarnings("error")
async def test_what_could_not_be_read_again_is_not_stored(
    generation: Generation, kind: Any, value: Any
) -> None:
    """The handler gets an error without the value, and the view stays readable."""
    view = KeyValueView[Any](generation, kind)

    async def put() -> None:
        async with view.transaction(Checkpoint(0, 1)):
            await view.put("a", value)

    with pytest.raises(ValueError, match="is not of the type of the view's values") as raised:
        await put()
    assert "secret" not in "".join(format_exception(raised.value))
    assert (await view.get("a"), await view.position()) == (None, 0)


async def test_numbers_that_are_written_as_texts(generation: Generation) -> None:
    """NaN is stored where the type writes it as a text, also beside null."""
    view = KeyValueView(generation, Measured)
    async with view.transaction(Checkpoint(0, 1)):
        await view.put("a", Measured(number=math.inf))
    assert await view.get("a") == Measured(number=math.inf)


async def test_values_are_those_of_their_put(generation: Generation) -> None:
    """What a handler does to a value after it was put changes nothing."""
    view = KeyValueView[Any](generation, list[int])
    async with view.transaction(Checkpoint(0, 1)):
        value = [1]
        await view.put("a", value)
        value.append(2)
        assert await view.get("a") == [1]
    assert await view.get("a") == [1]


async def test_what_is_no_key(generation: Generation) -> None:
    """The error says what a key is."""
    view = KeyValueView(generation, int)
    for key in (7, None, ["a"], ("a", 7), b"a"):
        with pytest.raises(TypeError, match="a key is a text or a tuple of texts, not"):
            await view.get(cast("Any", key))


async def test_an_exception_stores_nothing(generation: Generation) -> None:
    """After an exception, the view and its position are as before."""
    view = KeyValueView.of(int)(generation)

    async def fail() -> None:
        async with view.transaction(Checkpoint(0, 1)):
            await view.put("a", 1)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert (await view.get("a"), await view.position()) == (None, 0)
    with pytest.raises(RuntimeError, match="only the handlers of events"):
        await view.put("a", 1)
    for key in ("", (), ("a", "")):
        with pytest.raises(ValueError, match="none of them empty"):
            await view.get(key)


async def test_many_changes_of_one_event(generation: Generation) -> None:
    """A transaction ends early when it has many changes; one event cannot change any number."""
    view = KeyValueView.of(int)(generation)

    async def change(count: int) -> None:
        async with view.transaction(Checkpoint(0, 1)):
            for number in range(count):
                assert view.is_full == (number >= 100)
                await view.put(str(number), number)

    await change(950)
    assert len([each async for each in view.items()]) == 950
    with pytest.raises(ValueError, match="up to 900 keys"):
        await change(1000)


async def test_remembered_values_are_bounded(
    generation: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not remembered is read again."""
    monkeypatch.setattr("weenats.projections.key_value._MAX_CACHED", 2)
    view = KeyValueView.of(int)(generation)
    async with view.transaction(Checkpoint(0, 1)):
        for number in range(5):
            await view.put(str(number), number)
    async with view.transaction(Checkpoint(1, 2)):
        assert [await view.get(str(number)) for number in range(6)] == [0, 1, 2, 3, 4, None]


async def test_batches_are_stored_together_or_not(
    transport: NatsTransport, generation: Generation
) -> None:
    """A wrong sequence, a lost message or a stream without batches stores nothing."""
    jetstream = JetStream(transport)
    subject = f"$KV.{NAME}-projection.x"
    first = BatchMessage(f"{subject}.a", b"1", expected_last_subject_sequence=0)
    ack = await publish_batch(transport, [first, BatchMessage(f"{subject}.b", b"2")], 5)
    last = await jetstream.last(BUCKET, f"{subject}.b")
    assert ack == PublishAck(BUCKET, last.sequence, duplicate=False)
    with pytest.raises(WrongSequenceError):
        await publish_batch(transport, [BatchMessage(f"{subject}.b", b"3"), first], 5)
    assert (await jetstream.last(BUCKET, f"{subject}.b")).payload == b"2"
    with pytest.raises(StreamMissingError):
        await publish_batch(transport, [BatchMessage("nobody.stores.this", b"")], 5)

    publish = transport.publish

    def lose(to: str, *arguments: Any) -> None:
        if not to.endswith(".lost"):
            publish(to, *arguments)

    transport.publish = lose  # type: ignore[method-assign]
    lost = [BatchMessage(f"{subject}.{name}", b"") for name in ("c", "lost", "d")]
    with pytest.raises(JetStreamRefusedError):
        await publish_batch(transport, lost, 5)

    await jetstream.create_stream(replace(bucket_config("plain"), name="KV_plain"))
    with pytest.raises((JetStreamRefusedError, JetStreamUnavailableError)):
        await publish_batch(transport, [BatchMessage("$KV.plain.x", b"")], 5)
    await jetstream.delete_stream("KV_plain")
