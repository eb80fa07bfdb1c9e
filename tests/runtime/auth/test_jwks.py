"""JwksKeySource: when it fetches, what it serves meanwhile, and whom a bad endpoint harms."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from jwt import PyJWK
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

from testkit.clocks import FakeClock, travel
from testkit.waiting import LIMIT, until
from weenats.auth import jwks
from weenats.auth.jwks import JwksKeySource, read_keys
from weenats.auth.jwks_fetch import FetchError
from weenats.auth.key_source import KeysUnavailableError, UnknownKeyError
from weenats.context import CURRENT

URI = "https://user:hidden@issuer.example/keys?secret=hidden"


def an_ed25519(kid: str | None = "a", **members: Any) -> dict[str, Any]:
    """Return a new signing key as issuers publish it."""
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    found = {**OKPAlgorithm.to_jwk(public, as_dict=True), **members}
    return found if kid is None else {**found, "kid": kid}


def a_set(*keys: Any) -> bytes:
    """Return a JWKS."""
    return json.dumps({"keys": keys}).encode()


class Endpoint:
    """What stands at the URI: a document or an exception, and how often it was asked."""

    def __init__(self, clock: FakeClock, *keys: Any) -> None:
        self.clock = clock
        self.answer: bytes | Exception = a_set(*keys)
        self.asked_at: list[float] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, uri: str) -> bytes:
        """Answer, when the gate is open."""
        assert uri == URI
        self.asked_at.append(self.clock.now)
        assert self.gate.wait(LIMIT)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def asked(self) -> int:
        """How often it was asked."""
        return len(self.asked_at)


@pytest.fixture
def clock() -> FakeClock:
    """The time, which tests move."""
    return FakeClock()


@pytest.fixture
def endpoint(clock: FakeClock) -> Endpoint:
    """An endpoint with the key `a`."""
    return Endpoint(clock, an_ed25519("a"))


@pytest.fixture
async def source(clock: FakeClock, endpoint: Endpoint) -> Any:
    """The source in question."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    yield source
    endpoint.gate.set()
    await source.close()


async def idle(source: JwksKeySource) -> None:
    """Wait until nothing is being fetched."""
    await until(lambda: source._fetching is None or source._fetching.done())


async def refused(source: JwksKeySource, kid: str | None = "x", algorithm: str = "EdDSA") -> bool:
    """Say whether there is no such key."""
    try:
        await source.key(kid, algorithm)
    except UnknownKeyError:
        return True
    return False


async def test_the_first_token_brings_the_keys(source: JwksKeySource, endpoint: Endpoint) -> None:
    """Nothing is fetched before somebody asks; a hundred who ask at once cost one fetch."""
    assert endpoint.asked == 0
    keys = await asyncio.gather(*(source.key("a", "EdDSA") for _ in range(100)))
    assert endpoint.asked == 1
    assert isinstance(keys[0], PyJWK)


async def test_start_fetches_before_anybody_asks(source: JwksKeySource, endpoint: Endpoint) -> None:
    """A service that starts has its keys before its first request."""
    source.start()
    await idle(source)
    assert (endpoint.asked, source.state().keys) == (1, 1)


async def test_the_loop_goes_on_while_keys_are_fetched(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """A slow endpoint holds a thread, not the loop."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(source.key("a", "EdDSA"))
    await until(lambda: endpoint.asked == 1)
    assert not waiting.done()
    endpoint.gate.set()
    await waiting


async def test_keys_are_refreshed_before_they_expire(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """After four minutes a token sets off a fetch and waits for none of it."""
    await source.key("a", "EdDSA")
    clock.now += jwks.REFRESH_AFTER - 0.1
    await source.key("a", "EdDSA")
    assert endpoint.asked == 1
    clock.now += 0.1
    endpoint.gate.clear()
    await source.key("a", "EdDSA")
    await until(lambda: endpoint.asked == 2)
    endpoint.gate.set()
    await idle(source)
    assert source.state().age == 0


async def test_keys_are_refreshed_without_requests() -> None:
    """A timer fetches when nobody calls, so that the next caller does not wait."""
    time = travel()
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=loop.time)
    source.start()
    await until(lambda: source.state().status == "fresh")
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.asked == 2)
    await idle(source)
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: endpoint.asked == 3)
    await source.close()
    time.advance(jwks.REFRESH_AFTER)
    await until(lambda: source._timer is None)
    assert endpoint.asked == 3


async def test_stale_keys_serve_while_the_endpoint_is_down(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """An endpoint that answers 500 for 30 seconds, as the keys expire, costs no known token."""
    await source.key("a", "EdDSA")
    clock.now += jwks.LIFETIME - 1
    endpoint.answer = FetchError("the status is 500")
    for _ in range(300):
        clock.now += 0.1
        assert not await refused(source, "a")
        await idle(source)
    assert source.state().status == "stale"
    assert 6 <= endpoint.asked - 1 <= 10
    assert source.state().last_error == "the status is 500"
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    clock.now += jwks.MAX_BACKOFF
    await source.key("b", "EdDSA")
    state = source.state()
    assert (state.status, state.failures, state.last_error) == ("fresh", 0, None)


async def test_stale_keys_serve_for_a_bounded_time(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """After an hour beyond their time the keys are gone: an old key may be a stolen one."""
    await source.key("a", "EdDSA")
    endpoint.answer = FetchError("down")
    clock.now += jwks.LIFETIME + jwks.MAX_STALE - 0.1
    assert not await refused(source, "a")
    await idle(source)
    generation = source.generation
    clock.now += 0.1
    with pytest.raises(KeysUnavailableError):
        await source.key("a", "EdDSA")
    assert source.state().status == "empty"
    assert source.generation == generation + 1
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == [
        "the keys at https://issuer.example/keys are too old to be used"
    ]


async def test_failures_back_off(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Without any keys, a thousand tokens in a minute cost a fetch every five seconds."""
    endpoint.answer = FetchError("down")
    for _ in range(1000):
        with pytest.raises(KeysUnavailableError):
            await source.key("a", "EdDSA")
        await idle(source)
        clock.now += 0.06
    pauses = [
        later - before
        for before, later in zip(endpoint.asked_at, endpoint.asked_at[1:], strict=False)
    ]
    assert pauses[:3] == pytest.approx([1, 2, 4], abs=0.1)
    assert min(pauses[3:]) >= jwks.MAX_BACKOFF
    assert source.state().failures == endpoint.asked


async def test_a_flood_of_unknown_kids_makes_one_fetch_a_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Ten thousand invented kids within ten seconds cause ten fetches; known tokens pass."""
    await source.key("a", "EdDSA")
    for number in range(10_000):
        clock.now += 0.001
        assert await refused(source, f"invented-{number}")
    assert not await refused(source, "a")
    assert endpoint.asked <= 1 + 10


async def test_a_rotated_key_is_accepted_within_a_second(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Under a flood of unknown kids, a new key is known at the next fetch, a second later."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "b")
    endpoint.answer = a_set(an_ed25519("b"))
    for _ in range(7):
        clock.now += 0.125
        assert await refused(source, "b")
        assert await refused(source, "flood")
    clock.now += 0.125
    assert not await refused(source, "b")
    assert await refused(source, "a")


async def test_rotation_under_load_refuses_nobody(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """A thousand callers with the new key wait for the one fetch that brings it."""
    await source.key("a", "EdDSA")
    clock.now += 1
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    outcomes = await asyncio.gather(
        *(refused(source, "b") for _ in range(500)), *(refused(source, "a") for _ in range(500))
    )
    assert not any(outcomes)
    assert endpoint.asked == 2


async def test_unknown_kids_wait_a_bounded_time() -> None:
    """A slow endpoint holds a token with an unknown kid for a second, and no known one at all."""
    time = travel()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "x"))
    await until(lambda: endpoint.asked == 2)
    assert not await refused(source, "a")
    assert not waiting.done()
    time.advance(jwks.UNKNOWN_WAIT)
    assert await waiting
    endpoint.gate.set()
    await source.close()


async def test_unknown_kids_do_not_queue_for_a_slow_endpoint() -> None:
    """Invented kids hold no places of a service: late ones, and all after a slow fetch, wait not.

    The key that a slow fetch brings is known when it comes, and a fast fetch is waited for again.
    """
    time = travel()
    endpoint = Endpoint(FakeClock(), an_ed25519())
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=asyncio.get_running_loop().time)
    await source.key("a", "EdDSA")
    time.advance(2)
    endpoint.gate.clear()
    early = asyncio.create_task(refused(source, "b"))
    await until(lambda: endpoint.asked == 2)
    time.advance(jwks.UNKNOWN_WAIT)
    assert await refused(source, "b")
    assert await early
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    endpoint.gate.set()
    await idle(source)
    assert not await refused(source, "b")
    time.advance(2)
    endpoint.gate.clear()
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)  # without waiting for anything
    await until(lambda: endpoint.asked == 3)
    with pytest.raises(UnknownKeyError):
        source.key("c", "EdDSA").send(None)
    endpoint.gate.set()
    await idle(source)
    endpoint.answer = a_set(an_ed25519("c"))
    time.advance(2)
    assert not await refused(source, "c")
    await source.close()


async def test_a_known_kid_with_another_algorithm_sets_off_no_fetch(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """An algorithm that does not fit its key is refused at once."""
    await source.key("a", "EdDSA")
    clock.now += 10
    assert await refused(source, "a", "RS256")
    assert endpoint.asked == 1


async def test_a_token_without_kid_takes_the_only_key_that_fits(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """With one key there is no doubt; with two the token is refused."""
    assert (await source.key(None, "EdDSA")).key_id == "a"
    endpoint.answer = a_set(an_ed25519("a"), an_ed25519("b"))
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await idle(source)
    assert await refused(source, None)


async def test_the_generation_tells_when_keys_change(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """The same keys again change nothing; another key does, and so does one that goes."""
    first, second = an_ed25519("a"), an_ed25519("b")
    generations = []
    for keys in ([first], [first], [first, second], [second], [{**first, "kid": "b"}]):
        endpoint.answer = a_set(*keys)
        clock.now += jwks.REFRESH_AFTER
        source.start()
        await idle(source)
        generations.append(source.generation)
    assert generations == [1, 1, 2, 3, 4]


async def test_a_set_without_keys_is_believed(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """An issuer that withdraws its only key is obeyed at the next fetch."""
    await source.key("a", "EdDSA")
    endpoint.answer = a_set()
    clock.now += jwks.REFRESH_AFTER
    source.start()
    await idle(source)
    assert await refused(source, "a")
    assert source.state().status == "empty"


async def test_state_shows_what_health_checks_need(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock
) -> None:
    """Status, number and age of keys, failures and the last of them."""
    state = source.state()
    assert (state.status, state.keys, state.age, state.last_error) == ("empty", 0, None, None)
    await source.key("a", "EdDSA")
    endpoint.answer = RuntimeError("hidden")
    clock.now += jwks.LIFETIME
    await source.key("a", "EdDSA")
    await idle(source)
    state = source.state()
    assert (state.status, state.keys, state.age) == ("stale", 1, jwks.LIFETIME)
    assert (state.failures, state.last_error) == (1, "RuntimeError")


async def test_close_ends_a_fetch_and_may_be_called_twice(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """Closing waits for no endpoint; a token that comes later begins again."""
    endpoint.gate.clear()
    waiting = asyncio.create_task(refused(source, "a"))
    await until(lambda: endpoint.asked == 1)
    fetching = source._fetching
    await source.close()
    await source.close()
    assert fetching is not None
    assert fetching.cancelled()
    assert await waiting
    endpoint.gate.set()


async def test_a_token_after_the_end_has_the_keys_kept_fresh_again(
    source: JwksKeySource, endpoint: Endpoint
) -> None:
    """While they are fresh it is the timer that begins again; a second token begins no other."""
    await source.key("a", "EdDSA")
    await idle(source)
    await source.close()
    assert source._timer is None
    await source.key("a", "EdDSA")
    timer = source._timer
    assert timer is not None
    await source.key("a", "EdDSA")
    assert source._timer is timer
    assert endpoint.asked == 1


async def test_a_failure_is_tried_again_after_a_pause() -> None:
    """By the timer, when nobody calls: not at once, and not as late as a fetch that succeeded."""
    loop = asyncio.get_running_loop()
    endpoint = Endpoint(FakeClock())
    endpoint.answer = FetchError("down")
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=loop.time)
    before = loop.time()
    source.start()
    await until(lambda: source.state().failures == 1 and source._timer is not None)
    assert source._timer is not None
    assert before + jwks.COOLDOWN <= source._timer.when() <= loop.time() + jwks.COOLDOWN
    await source.close()


def test_a_source_may_be_used_in_one_loop_after_another(
    clock: FakeClock, endpoint: Endpoint
) -> None:
    """Keys outlive the loop that fetched them, and a fetch of an ended loop hinders none."""
    source = JwksKeySource(URI, ["EdDSA"], fetch=endpoint, clock=clock)
    asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    clock.now += jwks.REFRESH_AFTER
    assert not asyncio.run(refused(source, "a"))
    assert endpoint.asked >= 3


async def test_a_fetch_belongs_to_no_request(source: JwksKeySource) -> None:
    """The thread that fetches sees neither the message at hand nor its deadline."""
    seen: list[Any] = []

    def look(_: str) -> bytes:
        seen.append(CURRENT.get())
        return a_set(an_ed25519("a"))

    source._load = look
    CURRENT.set(object())  # type: ignore[arg-type]
    await source.key("a", "EdDSA")
    assert seen == [None]


async def test_logs_and_repr_show_no_secret_of_the_uri(
    source: JwksKeySource, endpoint: Endpoint, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """User, password and query stay out; a failure that goes on is told once."""
    caplog.set_level(logging.INFO, "weenats.auth")
    endpoint.answer = FetchError("the status is 500")
    for _ in range(5):
        assert await refused(source, "a")
        clock.now += 10
    assert caplog.messages == [
        "the keys at https://issuer.example/keys cannot be fetched: the status is 500"
    ]
    endpoint.answer = a_set()
    assert await refused(source, "a")
    assert caplog.messages[1:] == ["the keys at https://issuer.example/keys are fetched again"]
    assert repr(source) == "<JwksKeySource https://issuer.example/keys>"


def test_hmac_never_goes_with_a_jwks() -> None:
    """A source that would let published keys be secrets cannot be made."""
    with pytest.raises(ValueError, match=r"^a JWKS holds public keys, and HMAC has none$"):
        JwksKeySource(URI, ["HS256"])


RSA: dict[str, Any] = {
    **RSAAlgorithm.to_jwk(
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(), as_dict=True
    ),
    "kid": "rsa",
}
WEAK: dict[str, Any] = RSAAlgorithm.to_jwk(
    rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key(),  # noqa: S505 - it is to be refused
    as_dict=True,
)


@pytest.mark.parametrize(
    "bad",
    [
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "x"},
        {**RSA, "kid": "x", "use": "enc"},
        {**RSA, "kid": "x", "key_ops": ["sign"]},
        {**RSA, "kid": "x", "key_ops": "verify"},
        {**RSA, "kid": "x", "alg": "RSA-OAEP"},
        {**RSA, "kid": "x", "alg": "HS256"},
        {**RSA, "kid": 5},
        {**RSA, "kid": "x", "n": 5},
        {**RSA, "kid": "x", "n": "%%%"},
        {**RSA, "kid": "x", "d": "AQAB"},
        {**WEAK, "kid": "x"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "x"},
        {"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "x"},
        {"kid": "x"},
        {},
        [],
        None,
        "x",
    ],
)
def test_keys_that_may_not_sign_are_passed_over(bad: Any) -> None:
    """One key of a set that cannot be used hinders none of the others."""
    keys, _ = read_keys(a_set(bad, RSA), ["RS256", "EdDSA"])
    assert {kid: list(fitting) for kid, fitting in keys.items()} == {"rsa": ["RS256"]}


def test_a_key_serves_the_algorithms_it_names_only() -> None:
    """A key with `alg` is for that one, a key without for all that fit and are taken."""
    algorithms = ["RS256", "PS256", "ES256"]
    assert set(read_keys(a_set(RSA), algorithms)[0]["rsa"]) == {"RS256", "PS256"}
    named = read_keys(a_set({**RSA, "alg": "PS256"}), algorithms)[0]
    assert set(named["rsa"]) == {"PS256"}


def test_keys_that_share_a_kid_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody can say which of them is meant, so none is used; the others are."""
    document = a_set(an_ed25519("a"), an_ed25519("b"), an_ed25519("a"), an_ed25519("a"))
    keys, known = read_keys(document, ["EdDSA"])
    assert list(keys) == list(known) == ["b"]
    assert caplog.messages == ["a JWKS has several keys of one id; none of these is used"]


def test_keys_without_a_kid_are_one_or_none() -> None:
    """One key may have no id; of two nobody could say which is meant."""
    assert set(read_keys(a_set(an_ed25519(None)), ["EdDSA"])[0]) == {None}
    assert read_keys(a_set(an_ed25519(None), an_ed25519(None)), ["EdDSA"])[0] == {}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html><body>Sign in</body></html>",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [], "keys": []}',
        b'{"keys": [NaN]}',
        b'{"keys":' + b"[" * 100_000,
    ],
)
def test_what_is_no_jwks_is_refused(document: bytes) -> None:
    """HTML, broken JSON and other documents are failures, whose text shows nothing of them."""
    text = "^it is no (JSON object|JWKS: there is no list `keys`)$"
    with pytest.raises(FetchError, match=text) as error:
        read_keys(document, ["EdDSA"])
    assert "Sign" not in str(error.value)
