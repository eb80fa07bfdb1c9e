"""A NATS server that carries very small messages only: what does not fit is said, never silent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from testkit.once import OnceClient, OnceProbe
from testkit.parcels import Parcels
from testkit.probe import Outcome, Probe, ProbeClient, Run
from weenats import (
    AlreadyExistsError,
    InternalError,
    MessageTooLargeError,
    NatsServiceBuilder,
    NatsTransport,
    NotFoundError,
    RequestContext,
    ResourceExhaustedError,
)
from weenats.discovery import check_health, get_service_stats, list_infos, list_stats
from weenats.errors import ServiceError
from weenats.large.objects import LargeObjects
from weenats.testing import NatsServer


async def fail(key: str, command: Run, context: RequestContext) -> Outcome:
    """Fail in a way that the caller learns nothing of."""
    raise ValueError


async def miss(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise an error with a long text."""
    raise NotFoundError("x" * 1000)


async def repeat(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise the error whose number is that of ABORTED as well."""
    raise AlreadyExistsError("x" * 1000)


async def talk(key: str, command: Run, context: RequestContext) -> Outcome:
    """Return a result that is too large."""
    return Outcome(text="x" * 1000)


@pytest.fixture(scope="module", name="url")
def small_server() -> Iterator[str]:
    """A server with `max_payload: 300`."""
    with NatsServer(config="max_payload: 300\n") as server:
        yield server.url


@pytest.fixture
async def client(url: str) -> AsyncIterator[ProbeClient]:
    """The client of a running probe."""
    handlers = Probe(fail=fail, miss=miss, repeat=repeat, talk=talk)
    async with (
        NatsServiceBuilder(handlers, url).build(),
        ProbeClient.connect(url, verify="off") as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("action", "error"),
    [
        ("fail", InternalError),
        ("miss", NotFoundError),
        ("repeat", AlreadyExistsError),
        ("talk", ResourceExhaustedError),
    ],
)
async def test_errors_arrive_as_their_code(
    client: ProbeClient, action: str, error: type[ServiceError]
) -> None:
    """An error that does not fit is sent without its body, so that the caller need not wait."""
    with pytest.raises(error) as caught:
        await client.run("k", Run(action=action))
    assert caught.value.remote
    assert (await client.run("k", Run(action="go"))).text == "go"


async def test_requests_that_do_not_fit_are_refused(client: ProbeClient) -> None:
    """The caller gets an error before anything is sent."""
    with pytest.raises(MessageTooLargeError, match="at most 300"):
        await client.run("k" * 200, Run(action="go"))


async def test_discovery_says_what_does_not_fit(client: ProbeClient) -> None:
    """INFO and STATS are answered with an error, which listings report; health fits."""
    reported: list[InternalError] = []
    assert await list_infos(client.transport, on_invalid=reported.append) == []
    assert await list_stats(client.transport, on_invalid=reported.append) == []
    assert [str(each).partition(" has ")[0] for each in reported] == [
        f"INTERNAL: a service answered {verb} with an error: RESOURCE_EXHAUSTED: the answer"
        for verb in ("INFO", "STATS")
    ]
    assert (await check_health(client.transport, "probe")).status == "ok"
    instance = (await client.check_health()).id
    with pytest.raises(ResourceExhaustedError, match="at most 300"):
        await get_service_stats(client.transport, "probe", instance)


async def test_smaller_still() -> None:
    """Where the text of an error does not fit either, its code arrives."""
    with NatsServer(config="max_payload: 100\n") as server:
        async with (
            NatsServiceBuilder(Probe(), server.url).build(),
            ProbeClient.connect(server.url, verify="off") as client,
        ):
            with pytest.raises(ResourceExhaustedError) as caught:
                await client.check_health()
            assert caught.value.remote


async def test_durable_features_do_not_start(url: str) -> None:
    """Streams and buckets that cannot be created end the start with an error that says why."""
    for handlers in (Parcels(), OnceProbe()):
        with pytest.raises(MessageTooLargeError, match="at most 300"):
            await NatsServiceBuilder(handlers, url).build().start()


async def test_replies_that_cannot_be_kept() -> None:
    """A reply that does not fit into an entry of `once` is an error, also when it is repeated."""
    with NatsServer(config="max_payload: 700\n") as server:
        async with (
            NatsServiceBuilder(OnceProbe(), server.url).build(),
            OnceClient.connect(server.url, verify="off") as client,
        ):
            for _ in range(2):
                with pytest.raises(ResourceExhaustedError, match="too large to be kept"):
                    await client.run("k", Run(action="go"), message_id="01J0000000000000000000000A")


async def test_large_payloads_need_room_for_their_chunks(url: str) -> None:
    """They are refused, not stored as nothing."""
    transport = NatsTransport(url)
    await transport.connect()
    with pytest.raises(MessageTooLargeError, match="chunks need more than 1024 bytes"):
        await LargeObjects("probe", transport).put(b"x" * 5000, 1)
    await transport.close()
