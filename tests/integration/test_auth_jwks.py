"""Services whose issuer publishes its keys over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from time import time
from typing import Any

import pytest

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.clocks import shift_time
from testkit.http_server import HttpServer, answer
from testkit.tokens import good_claims, jwk, private_key, signed
from testkit.waiting import LIMIT, until
from weenats import (
    JwtAuthConfig,
    NatsService,
    NatsServiceBuilder,
    UnauthenticatedError,
    UnavailableError,
)

COFFEE = AddItem(name="Coffee", price=4.5, quantity=2)
HOUR = 3600


def token(which: int) -> str:
    """Return a good token, signed by the key of this number."""
    now = int(time())
    header = {"alg": "EdDSA", "typ": "JWT", "kid": f"k-{which}"}
    return signed(header, good_claims(iat=now, exp=now + HOUR), private_key("EdDSA", which))


def published(*which: int) -> bytes:
    """Return the keys of these numbers as their issuer publishes them."""
    keys = [jwk(private_key("EdDSA", each), kid=f"k-{each}", use="sig") for each in which]
    return json.dumps({"keys": keys}).encode()


@pytest.fixture
def issuer() -> Iterator[HttpServer]:
    """An issuer with one key."""
    server = HttpServer()
    server.behaviour = answer(published(1))
    yield server
    server.stop()


@pytest.fixture
def service(nats_url: str, issuer: HttpServer) -> NatsService:
    """The sample, believing the issuer; not started yet."""
    config = JwtAuthConfig(
        algorithms=["EdDSA"],
        jwks_uri=issuer.uri,
        issuer="https://issuer.example",
        audience="receipts",
    )
    return NatsServiceBuilder(Receipts(), nats_url).with_auth(config).build()


@pytest.fixture
async def receipts(nats_url: str) -> AsyncIterator[ReceiptsClient]:
    """A client."""
    async with ReceiptsClient.connect(nats_url) as client:
        yield client


async def add(receipts: ReceiptsClient, which: int) -> bool:
    """Say whether a token of this key is let in."""
    try:
        await receipts.with_token(token(which)).add_item("r-1", COFFEE)
    except UnauthenticatedError:
        return False
    return True


async def test_keys_are_fetched_when_the_service_starts(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """Before the first request the keys are there; health checks see their state."""
    assert issuer.paths == []
    async with service:
        await until(lambda: service.jwks_state is not None and service.jwks_state.keys == 1)
        assert await add(receipts, 1)
        assert not await add(receipts, 2)
        assert issuer.paths == ["/keys"]
    state = service.jwks_state
    assert state is not None
    assert (state.status, state.failures) == ("fresh", 0)


async def test_a_service_without_such_keys_has_no_state(nats_url: str) -> None:
    """Nothing is shown where nothing is fetched."""
    assert NatsServiceBuilder(Receipts(), nats_url).build().jwks_state is None


async def test_rotating_under_load_refuses_nobody(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """While keys change one after the other, every token of a published key is let in."""
    async with service:
        assert await add(receipts, 1)
        time = shift_time()
        for which in range(1, 4):
            issuer.behaviour = answer(published(which - 1, which, which + 1))
            time.advance(2)
            jwks = service._settings.jwks
            jwks._clock = time  # type: ignore[union-attr]
            outcomes = await asyncio.gather(
                *(add(receipts, which + number % 2) for number in range(60))
            )
            assert all(outcomes)
    assert len(issuer.paths) <= 4


async def test_known_keys_outlive_their_issuer(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """When the endpoint answers 500, is gone, or sends HTML, known tokens are let in."""
    async with service:
        assert await add(receipts, 1)
        time = shift_time()
        jwks = service._settings.jwks
        jwks._clock = time  # type: ignore[union-attr]
        for behaviour in (answer(b"", 500), answer(b"<html>"), answer(b"", 302), None):
            if behaviour is None:
                issuer.stop()
            else:
                issuer.behaviour = behaviour
            time.advance(301)
            failures = jwks.state().failures  # type: ignore[union-attr]
            assert await add(receipts, 1)
            await until(lambda: jwks.state().failures > failures)  # type: ignore[union-attr]  # noqa: B023
        assert service.jwks_state is not None
        assert service.jwks_state.status == "stale"
        reason = "the document cannot be read (ConnectionRefusedError)"
        assert service.jwks_state.last_error == reason


async def test_without_keys_nobody_is_judged(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """An issuer that is down from the start: the service starts, and callers learn UNAVAILABLE."""
    issuer.behaviour = answer(b"", 503)
    async with service:
        with pytest.raises(UnavailableError) as error:
            await receipts.with_token(token(1)).add_item("r-1", COFFEE)
        assert error.value.remote
        assert "127.0.0.1" not in error.value.message
        with pytest.raises(UnauthenticatedError):
            await receipts.add_item("r-1", COFFEE)


async def test_a_slow_issuer_does_not_stop_the_service(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """While keys are waited for, other callers are answered; a stop does not wait for them."""
    gate = threading.Event()

    def slow(handler: Any) -> None:
        gate.wait(LIMIT)
        answer(published(1))(handler)

    issuer.behaviour = slow
    async with service:
        waiting = asyncio.create_task(add(receipts, 1))
        await until(lambda: issuer.paths)
        with pytest.raises(UnauthenticatedError):
            await receipts.add_item("r-1", COFFEE)
        assert not waiting.done()
        gate.set()
        assert await waiting


async def test_a_service_that_stops_fetches_no_more(
    service: NatsService, issuer: HttpServer
) -> None:
    """Stopping ends the timer, and a fetch that is under way."""
    async with service:
        pass
    jwks = service._settings.jwks
    assert jwks is not None
    assert jwks._timer is None
    assert jwks._fetching is None


async def test_a_service_that_cannot_start_fetches_no_more(issuer: HttpServer) -> None:
    """Without NATS nothing is left running."""
    config = JwtAuthConfig(algorithms=["EdDSA"], jwks_uri=issuer.uri)
    service = NatsServiceBuilder(Receipts(), "nats://127.0.0.1:1").with_auth(config).build()
    jwks = service._settings.jwks
    from weenats import ConnectionOptions, NatsTransport

    service._transport = NatsTransport("nats://127.0.0.1:1", ConnectionOptions(connect_timeout=0.1))
    with pytest.raises(UnavailableError):
        await service.start()
    assert jwks is not None
    assert (jwks._timer, jwks._fetching) == (None, None)


async def test_the_log_names_the_endpoint_and_no_key(
    service: NatsService,
    receipts: ReceiptsClient,
    issuer: HttpServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What fails is told with the address; keys and tokens are not."""
    caplog.set_level(logging.DEBUG, "weenats.auth")
    issuer.behaviour = answer(b"<html>secret</html>", 200)
    async with service:
        with pytest.raises(UnavailableError):
            await receipts.with_token(token(1)).add_item("r-1", COFFEE)
    reason = "the document is not a JSON object"
    assert f"the keys at {issuer.uri} cannot be fetched: {reason}" in caplog.messages
    assert "secret" not in caplog.text
