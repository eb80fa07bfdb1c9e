"""Streams: create, inspect, update, purge, delete."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from testkit.clocks import shift_time
from testkit.server_files import store_of
from testkit.waiting import LIMIT, eventually
from weenats import AlreadyExistsError, NatsTransport, UnavailableError
from weenats.testing import MemoryBroker, MemoryTransport, NatsServer
from weenats.transport.jetstream import (
    JetStream,
    JetStreamMissingError,
    JetStreamRefusedError,
    JetStreamUnavailableError,
    Republish,
    StreamConfig,
    StreamInfo,
    StreamMissingError,
)
from weenats.transport.jetstream import client as client_module
from weenats.transport.jetstream.errors import api_error


async def test_a_stream_has_the_settings_it_was_created_with(jetstream: JetStream) -> None:
    """All settings come back as they were given."""
    config = StreamConfig(
        "all-settings",
        ("all-settings.a.*.>",),
        description="For a test.",
        storage="memory",
        discard="new",
        max_age=3600.5,
        max_bytes=1_000_000,
        max_messages=1000,
        max_messages_per_subject=7,
        duplicate_window=30.0,
        republish=Republish("all-settings.a.*.>", "all-settings.b.>"),
        allow_rollup=True,
        allow_ttl=True,
        marker_ttl=5.0,
        metadata={"owner": "billing"},
    )
    created = await jetstream.create_stream(config)
    assert replace(created.config, other={}) == config
    assert (await jetstream.stream_info(config.name)).config == created.config
    await jetstream.delete_stream(config.name)


async def test_creating_an_equal_stream_changes_nothing(jetstream: JetStream, stream: str) -> None:
    """The second creation is no error with equal settings, and one with others."""
    config = StreamConfig(stream, (f"{stream}.>",), storage="memory")
    await jetstream.create_stream(config)
    with pytest.raises(AlreadyExistsError, match=stream):
        await jetstream.create_stream(replace(config, max_messages=1))


async def test_a_stream_whose_folder_is_still_removed_is_created(
    own_nats_server: NatsServer,
) -> None:
    """The server refuses a stream at first whose predecessor was deleted just now."""
    transport = NatsTransport(own_nats_server.url)
    jetstream = JetStream(transport)
    await jetstream.create_stream(StreamConfig("other"))
    [other] = store_of(own_nats_server).glob("jetstream/*/streams/other")
    folder = other.with_name("again")
    folder.touch()  # is no folder; a newer server removes it after the first attempt
    creation = asyncio.create_task(jetstream.create_stream(StreamConfig("again")))
    await eventually(lambda: "reate failed" in own_nats_server.log())
    folder.unlink(missing_ok=True)
    assert (await creation).config.name == "again"
    await transport.close()


@pytest.mark.parametrize("how", ["seen", "deleted"])
async def test_a_stream_is_created_again_when_its_deletion_is_done(
    transport: NatsTransport, stream: str, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The server removes the files of one that is created earlier; only unseen ones do not wait."""
    monkeypatch.setattr(client_module, "_DELETION", 10_000.0)
    time = shift_time()
    jetstream, other = JetStream(transport), JetStream(transport)
    if how == "seen":
        await jetstream.stream_info(stream)
    await (other if how == "seen" else jetstream).delete_stream(stream)
    creation = asyncio.create_task(
        jetstream.create_stream(StreamConfig(stream, (f"{stream}.a.>",), storage="memory"))
    )
    with pytest.raises(StreamMissingError):
        await JetStream(transport).stream_info(stream)
    assert not creation.done()
    time.advance(10_000)
    assert (await creation).config.subjects == (f"{stream}.a.>",)
    await other.delete_stream(stream)
    await JetStream(transport).create_stream(StreamConfig(stream, (f"{stream}.c.>",)))


async def test_a_stream_that_is_there_stays_as_it_is(
    transport: NatsTransport, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that another instance creates meanwhile, with other settings, is not changed."""
    config = StreamConfig(stream, (f"{stream}.>",), description="mine")
    wanted = replace(config, description="other", storage="memory")
    assert not (await JetStream(transport).ensure_stream(config)).config.description
    info, missed = JetStream.stream_info, [stream]

    async def late(self: JetStream, name: str) -> StreamInfo:
        if missed:
            raise StreamMissingError(missed.pop())
        return await info(self, name)

    monkeypatch.setattr(JetStream, "stream_info", late)
    assert not (await JetStream(transport).ensure_stream(wanted)).config.description
    assert not missed


async def test_an_update_keeps_unknown_settings(jetstream: JetStream, stream: str) -> None:
    """What this version does not know stays as an operator set it."""
    info = await jetstream.stream_info(stream)
    await jetstream.update_stream(replace(info.config, other={"max_msg_size": 4096}))
    info = await jetstream.stream_info(stream)
    info = await jetstream.update_stream(replace(info.config, max_messages=5))
    assert info.config.max_messages == 5
    assert info.config.other["max_msg_size"] == 4096


async def test_an_impossible_update_is_refused(jetstream: JetStream, stream: str) -> None:
    """The error names the stream and what the server says."""
    info = await jetstream.stream_info(stream)
    with pytest.raises(JetStreamRefusedError, match=f"{stream}: .*storage") as raised:
        await jetstream.update_stream(replace(info.config, storage="file"))
    assert raised.value.error_code == 10052


async def test_state_counts_messages(jetstream: JetStream, stream: str) -> None:
    """The state has the number of messages and their sequences; messages of one subject can go."""
    for subject in ("a", "b", "a"):
        await jetstream.publish(f"{stream}.{subject}", b"{}")
    info = await jetstream.stream_info(stream)
    assert (info.messages, info.first_sequence, info.last_sequence) == (3, 1, 3)
    assert await jetstream.purge(stream, f"{stream}.a") == 2
    assert await jetstream.purge(stream) == 1


@pytest.mark.parametrize("method", ["stream_info", "delete_stream", "purge"])
async def test_a_missing_stream_is_named(jetstream: JetStream, method: str) -> None:
    """The error is UNAVAILABLE and names the stream."""
    with pytest.raises(StreamMissingError, match="no-such-stream: stream not found"):
        await getattr(jetstream, method)("no-such-stream")


@pytest.mark.parametrize("number", [10118, 10119])
def test_what_is_offline_is_unavailable(number: int) -> None:
    """A stream or consumer whose servers are away may be back soon: it is not a refusal."""
    error = {"code": 500, "err_code": number, "description": "stream is offline"}
    assert isinstance(api_error(error, "orders"), JetStreamUnavailableError)


async def test_without_jetstream_the_error_says_so() -> None:
    """A server without JetStream gives JetStreamUnavailableError at once."""
    transport = MemoryTransport(MemoryBroker(jetstream=False))
    with pytest.raises(JetStreamMissingError, match="JetStream is not enabled"):
        await JetStream(transport).stream_info("any")
    await transport.connect()
    transport.subscribe("$JS.API.>", lambda each: transport.publish(each.reply, b"[]"))
    with pytest.raises(JetStreamUnavailableError, match="does not come from JetStream"):
        await JetStream(transport).stream_info("any")
    await transport.close()


async def test_requests_end_in_time_without_a_server(own_nats_server: NatsServer) -> None:
    """A server that is away makes a request fail within its time limit."""
    transport = NatsTransport(own_nats_server.url)
    await transport.connect()
    own_nats_server.kill()
    with pytest.raises(UnavailableError):
        async with asyncio.timeout(LIMIT):
            await JetStream(transport, timeout=0.2).stream_info("any")
    await transport.close()
