"""From what a builder is told to what asks callers who they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.http_server import HttpServer, answer
from testkit.probe import FIND, GET, RUN
from testkit.tokens import ISSUER, SECRET, FakeValidator, config, encoded, pem, private_key, signed
from testkit.waiting import until
from weenats import AuthRequirement, Response
from weenats.auth import JwksKeySource, JwtAuthConfig, NoAuthConfig
from weenats.auth.authentication import Authentication, check_unasked
from weenats.errors import UnauthenticatedError

REQUIRED, OPTIONAL = AuthRequirement(), AuthRequirement(required=False)
CLAIMS = {"sub": "ada", "iss": ISSUER, "exp": 4_000_000_000}
ONE_OF_TWO = "^with_auth takes a configuration or a validator, one of the two$"
FOREVER: dict[str, Any] = {"issuer": ISSUER, "max_lifetime": None}


def authentication(
    given: Any = None, validator: Any = None, *, required: bool | None = None
) -> Authentication:
    """Return what asks callers, which there is."""
    made = Authentication.of(given, validator, required=required)
    assert made is not None
    return made


async def let_in(made: Authentication, token: str | None = None) -> str | None:
    """Return as whom a request is let in; None is nobody."""

    async def passed(context: Any) -> Response:
        return Response(context.principal)

    response = await made.interceptor(make_context(side="server", token=token), passed)
    return None if response.result is None else response.result.id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "validator", "required", "error", "text"),
    [
        (None, None, None, ValueError, ONE_OF_TWO),
        (config(), FakeValidator(), None, ValueError, ONE_OF_TWO),
        (None, object(), None, TypeError, "^object has no `validate`: see TokenValidator$"),
        (config(), None, True, ValueError, "^`required` goes with a validator; a configuration"),
        (NoAuthConfig(), None, False, ValueError, "^`required` goes with a validator; a conf"),
        ("jwt", None, None, TypeError, "^a configuration is an AuthConfig, not str$"),
    ],
)
def test_what_makes_no_sense_is_refused(
    given: Any, validator: Any, required: bool | None, error: type[Exception], text: str
) -> None:
    """When it is written down, and the text says what would."""
    with pytest.raises(error, match=text):
        Authentication.of(given, validator, required=required)


def test_nobody_is_asked_where_that_is_configured() -> None:
    """There is nothing that asks."""
    assert Authentication.of(NoAuthConfig(), None, required=None) is None


@pytest.mark.parametrize(("required", "wanted"), [(None, True), (True, True), (False, False)])
async def test_a_validator_wants_a_token_unless_it_is_told_otherwise(
    required: bool | None, wanted: bool
) -> None:
    """Who brings one is judged by it, either way; its class is told as the method."""
    made = authentication(validator=FakeValidator(), required=required)
    assert (made.required, made.method, made.jwks) == (wanted, "FakeValidator", None)
    if wanted:
        with pytest.raises(UnauthenticatedError):
            await let_in(made)
    else:
        assert await let_in(made) is None
    with pytest.raises(UnauthenticatedError):
        await let_in(made, "x")


@pytest.mark.parametrize("required", [True, False])
async def test_a_configuration_says_itself_whether_a_token_is_wanted(required: bool) -> None:
    """And by which key; there is nothing to fetch, so starting and closing do nothing."""
    key = pem(private_key("EdDSA"))
    rules = JwtAuthConfig(algorithms=["EdDSA"], public_key=key, required=required, **FOREVER)
    made = authentication(rules)
    assert (made.required, made.method, made.jwks) == (required, "JWT", None)
    made.start()
    assert await let_in(made, signed({"alg": "EdDSA"}, CLAIMS)) == "ada"
    await made.close()
    if required:
        with pytest.raises(UnauthenticatedError):
            await let_in(made)
    else:
        assert await let_in(made) is None


async def test_a_shared_secret_is_the_key() -> None:
    """Of the algorithms that go with it."""
    made = authentication(JwtAuthConfig(algorithms=["HS256"], secret=SECRET, **FOREVER))
    assert await let_in(made, signed({"alg": "HS256"}, CLAIMS, SECRET, "HS256")) == "ada"
    with pytest.raises(UnauthenticatedError):
        await let_in(made, signed({"alg": "HS512"}, CLAIMS, SECRET, "HS512"))


async def test_published_keys_are_fetched_from_the_start_until_the_end() -> None:
    """Before the first caller, from the place that was named, for the algorithms that were."""
    key: Any = private_key("EdDSA").public_key()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_bytes_raw()), "kid": "k"}
    server = HttpServer()
    server.behaviour = answer(b'{"keys": [%b]}' % str(jwk).replace("'", '"').encode())
    rules = JwtAuthConfig(algorithms=["EdDSA"], jwks_uri=server.uri, **FOREVER)
    made = authentication(rules)
    jwks = made.jwks
    assert isinstance(jwks, JwksKeySource)
    assert made.method == "JWT"
    made.start()
    while not server.paths:  # noqa: ASYNC110 - a thread fetches
        await asyncio.sleep(0.001)
    await until(lambda: jwks._fetching is None or jwks._fetching.done())
    assert jwks.state().keys == 1
    assert await let_in(made, signed({"alg": "EdDSA", "kid": "k"}, CLAIMS)) == "ada"
    await made.close()
    assert jwks._timer is None
    server.stop()
    assert server.paths == ["/keys"]


def test_operations_that_want_to_know_who_calls_are_named() -> None:
    """Where nobody asks; those that may do without are not."""
    check_unasked([RUN, replace(GET, auth=OPTIONAL)])
    wanting = [replace(RUN, auth=REQUIRED), GET, replace(FIND, auth=REQUIRED)]
    with pytest.raises(ValueError, match="wants to know who calls") as refused:
        check_unasked(wanting)
    assert str(refused.value) == (
        "the contract wants to know who calls run, find: add with_auth(...)"
    )
