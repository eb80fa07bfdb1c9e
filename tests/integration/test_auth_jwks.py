"""Services that fetch the keys of their token issuer over HTTP (JWKS)."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler
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
    """Return a valid token, signed by the key with this number."""
    now = int(time())
    header = {"alg": "EdDSA", "typ": "JWT", "kid": f"k-{which}"}
    return signed(header, good_claims(iat=now, exp=now + HOUR), private_key("EdDSA", which))


def jwks_document(*which: int) -> bytes:
    """Return the JWKS document with the keys of these numbers."""
    keys = [jwk(private_key("EdDSA", each), kid=f"k-{each}", use="sig") for each in which]
    return json.dumps({"keys": keys}).encode()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens wait for their key as long as a busy machine needs to fetch it."""
    monkeypatch.setattr("weenats.auth.jwks.UNKNOWN_WAIT", LIMIT)


@pytest.fixture
def issuer() -> Iterator[HttpServer]:
    """An issuer with one key."""
    server = HttpServer()
    server.behaviour = answer(jwks_document(1))
    yield server
    server.stop()


@pytest.fixture
def service(nats_url: str, issuer: HttpServer) -> NatsService:
    """The sample with JWKS authentication; not started yet."""
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
    async with ReceiptsClient.connect(nats_url, timeout=LIMIT) as client:
        yield client


async def is_token_accepted(receipts: ReceiptsClient, which: int) -> bool:
    """Whether the service accepts a token signed by this key."""
    try:
        await receipts.with_token(token(which)).add_item("r-1", COFFEE)
    except UnauthenticatedError:
        return False
    return True


async def test_keys_are_fetched_when_the_service_starts(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """The keys are fetched at start, and jwks_state shows it."""
    assert issuer.paths == []
    async with service:
        await until(lambda: service.jwks_state is not None and service.jwks_state.keys == 1)
        assert await is_token_accepted(receipts, 1)
        assert issuer.paths == ["/keys"]
        assert not await is_token_accepted(receipts, 2)
    state = service.jwks_state
    assert state is not None
    assert (state.status, state.failures) == ("fresh", 0)


async def test_headers_of_the_key_request(
    nats_url: str, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """An issuer behind a firewall that wants certain headers is reached with `jwks_headers`."""
    document = answer(jwks_document(1))
    refusal = answer(b"", 403)

    def guard(handler: BaseHTTPRequestHandler) -> None:
        known = (handler.headers["User-Agent"], handler.headers["X-Key"]) == ("Browser", "s3cret")
        (document if known else refusal)(handler)

    issuer.behaviour = guard
    config = JwtAuthConfig(
        algorithms=["EdDSA"],
        jwks_uri=issuer.uri,
        audience="receipts",
        jwks_headers={"User-Agent": "Browser", "X-Key": "s3cret"},
    )
    assert "s3cret" not in repr(config)
    async with NatsServiceBuilder(Receipts(), nats_url).with_auth(config).build():
        assert await is_token_accepted(receipts, 1)


async def test_jwks_state_is_none_without_jwks(nats_url: str) -> None:
    """A service that fetches no keys has no jwks_state."""
    assert NatsServiceBuilder(Receipts(), nats_url).build().jwks_state is None


async def test_key_rotation_under_load_rejects_no_valid_token(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """During key rotation every token of a published key is accepted."""
    async with service:
        assert await is_token_accepted(receipts, 1)
        time = shift_time()
        for which in range(1, 4):
            issuer.behaviour = answer(jwks_document(which - 1, which, which + 1))
            time.advance(2)
            jwks = service._settings.jwks
            jwks._clock = time  # type: ignore[union-attr]
            outcomes = await asyncio.gather(
                *(is_token_accepted(receipts, which + number % 2) for number in range(60))
            )
            assert all(outcomes)
    assert len(issuer.paths) <= 4


async def test_known_keys_work_while_the_issuer_is_down(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """If the endpoint fails or sends HTML, tokens of known keys are still accepted."""
    async with service:
        assert await is_token_accepted(receipts, 1)
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
            assert await is_token_accepted(receipts, 1)
            await until(lambda: jwks.state().failures > failures)  # type: ignore[union-attr]  # noqa: B023
        assert service.jwks_state is not None
        assert service.jwks_state.status == "stale"
        reason = "the document cannot be read (ConnectionRefusedError)"
        assert service.jwks_state.last_error == reason


async def test_calls_are_unavailable_if_keys_cannot_be_fetched(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """The service starts without the issuer; calls with a token fail with UNAVAILABLE."""
    issuer.behaviour = answer(b"", 503)
    async with service:
        with pytest.raises(UnavailableError) as error:
            await receipts.with_token(token(1)).add_item("r-1", COFFEE)
        assert error.value.remote
        assert "127.0.0.1" not in error.value.message
        with pytest.raises(UnauthenticatedError):
            await receipts.add_item("r-1", COFFEE)


async def test_slow_issuer_does_not_block_other_calls(
    service: NatsService, receipts: ReceiptsClient, issuer: HttpServer
) -> None:
    """While one call waits for keys, other callers get their replies."""
    gate = threading.Event()

    def slow(handler: Any) -> None:
        gate.wait(LIMIT)
        answer(jwks_document(1))(handler)

    issuer.behaviour = slow
    async with service:
        waiting = asyncio.create_task(is_token_accepted(receipts, 1))
        await until(lambda: issuer.paths)
        with pytest.raises(UnauthenticatedError):
            await receipts.add_item("r-1", COFFEE)
        assert not waiting.done()
        gate.set()
        assert await waiting


async def test_stopping_ends_key_fetching(service: NatsService, issuer: HttpServer) -> None:
    """Stopping the service cancels the timer and a fetch in progress."""
    async with service:
        pass
    jwks = service._settings.jwks
    assert jwks is not None
    assert jwks._timer is None
    assert jwks._fetching is None


async def test_failed_start_ends_key_fetching(issuer: HttpServer) -> None:
    """If the service cannot connect to NATS, no timer and no fetch is left running."""
    config = JwtAuthConfig(algorithms=["EdDSA"], jwks_uri=issuer.uri)
    service = NatsServiceBuilder(Receipts(), "nats://127.0.0.1:1").with_auth(config).build()
    jwks = service._settings.jwks
    from weenats import ConnectionOptions, NatsTransport

    service._transport = NatsTransport("nats://127.0.0.1:1", ConnectionOptions(connect_timeout=0.1))
    with pytest.raises(UnavailableError):
        await service.start()
    assert jwks is not None
    assert (jwks._timer, jwks._fetching) == (None, None)


async def test_log_contains_the_endpoint_but_no_keys(
    service: NatsService,
    receipts: ReceiptsClient,
    issuer: HttpServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed fetch is logged with the URL, without the content of the response."""
    caplog.set_level(logging.DEBUG, "weenats.auth")
    issuer.behaviour = answer(b"<html>secret</html>", 200)
    async with service:
        with pytest.raises(UnavailableError):
            await receipts.with_token(token(1)).add_item("r-1", COFFEE)
    reason = "the document is not a JSON object"
    assert f"the keys at {issuer.uri} cannot be fetched: {reason}" in caplog.messages
    assert "secret" not in caplog.text
