"""Streams that store the subjects of a service, and errors of services of other frameworks."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from testkit.probe import CONTRACT, Probe, ProbeClient, Run
from testkit.waiting import LIMIT
from weenats import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NotFoundError,
    ServiceError,
    UnavailableError,
)
from weenats.testing import NatsServer

GO = Run(action="go")
SUBJECT = "probe.command.thing.run"
Reply = Callable[[bytes, dict[str, str]], Awaitable[None]]


@pytest.mark.usefixtures("single_instance")
@pytest.mark.parametrize("name", ["all", "success", "stream", "io_nats_micro_v1_ping_response"])
async def test_streams_of_any_name_answer_nothing(own_nats_server: NatsServer, name: str) -> None:
    """Calls, health, discovery and listings skip the acknowledgements of a stream."""
    raw = await nats.connect(own_nats_server.url)
    await raw.jetstream().add_stream(StreamConfig(name=name, subjects=["probe.>", "$SRV.>"]))
    service = NatsServiceBuilder(Probe(), own_nats_server.url).with_health().build()
    async with service, ProbeClient.connect(own_nats_server.url, timeout=LIMIT) as client:
        for _ in range(10):
            assert (await client.run("k", GO)).text == "go"
            assert (await client.check_health()).status == "ok"
            assert (await client.get_service_info()).id == service.instance_id
            assert (await client.get_service_stats()).id == service.instance_id
            assert [each.id for each in await client.list_instances()] == [service.instance_id]
        message = await raw.jetstream().get_last_msg(name, SUBJECT)
        assert message.seq
    await raw.close()


async def test_stream_beside_a_service_that_does_not_run(own_nats_server: NatsServer) -> None:
    """A stream that stores the subject hides that nobody responds; the error in the end says so."""
    raw = await nats.connect(own_nats_server.url)
    await raw.jetstream().add_stream(StreamConfig(name="all", subjects=["probe.>"]))
    timeout, text = 0.05, ""
    async with ProbeClient.connect(own_nats_server.url, verify="off") as client:
        while "answers also while no service runs" not in text:
            assert timeout < LIMIT
            with pytest.raises(DeadlineExceededError) as raised:
                await client.run("k", GO, timeout=timeout)
            text = raised.value.message
            timeout *= 2  # the acknowledgement takes as long as the machine does
    await raw.close()


@pytest.fixture
async def reply(nats_url: str) -> AsyncIterator[Callable[[bytes, dict[str, str]], Any]]:
    """A service of another framework, which answers what a test says."""
    raw = await nats.connect(nats_url)

    async def answer_all(payload: bytes, headers: dict[str, str]) -> None:
        async def answer(message: Any) -> None:
            await raw.publish(message.reply, payload, headers=headers)

        for subject in (SUBJECT, f"{CONTRACT.name}.health", "$SRV.INFO.probe", "$SRV.STATS.probe"):
            await raw.subscribe(subject, cb=answer)
        await raw.flush()
        await raw.flush()

    yield answer_all
    await raw.close()


@pytest.mark.parametrize("payload", [b"", b"no such thing", b'{"reason":"gone"}', b"[1]"])
@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("404", "no such thing", NotFoundError),
        ("400", "wrong", InvalidArgumentError),
        ("503", "", UnavailableError),
        ("418", "short and stout", InvalidArgumentError),
        ("500", "boom", InternalError),
        ("x", "boom", InternalError),
        ("", "boom", InternalError),
    ],
)
async def test_foreign_errors_are_raised_at_once(
    nats_url: str, reply: Reply, payload: bytes, code: str, text: str, kind: type[ServiceError]
) -> None:
    """An error in headers only, as ADR-32 has it, fails calls and discovery with its code."""
    headers = {"Nats-Service-Error": text, "Nats-Service-Error-Code": code}
    await reply(payload, {name: value for name, value in headers.items() if value})
    async with ProbeClient.connect(nats_url, timeout=LIMIT) as client:
        for call in (client.run("k", GO), client.check_health(), client.get_service_info()):
            with pytest.raises(ServiceError) as raised:
                await call
            assert type(raised.value) is kind
            assert raised.value.message == (text or kind.description)
            assert raised.value.remote


async def test_envelope_wins_over_the_headers(nats_url: str, reply: Reply) -> None:
    """The error in the body of a reply is more exact than the headers."""
    error = {"code": "ABORTED", "message": "again"}
    body = json.dumps({"duration": 1, "error": error, "success": False}).encode()
    await reply(body, {"Nats-Service-Error": "no", "Nats-Service-Error-Code": "409"})
    async with ProbeClient.connect(nats_url, timeout=LIMIT) as client:
        with pytest.raises(ServiceError, match="ABORTED: again"):
            await client.run("k", GO)
