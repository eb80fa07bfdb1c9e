"""How the arguments of `with_auth` become an interceptor and a key source."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.http_server import HttpServer, answer
from testkit.probe import FIND, GET, RUN, Probe
from testkit.tokens import ISSUER, SECRET, FakeValidator, config, encoded, pem, private_key, signed
from testkit.waiting import until
from weenats import AuthRequirement, Endpoint, NatsServiceBuilder, Response
from weenats.auth import JwksKeySource, JwtAuthConfig, NoAuthConfig
from weenats.auth.authentication import Authentication
from weenats.errors import UnauthenticatedError
from weenats.testing import MemoryTransport

REQUIRED, OPTIONAL = AuthRequirement(), AuthRequirement(required=False)
CLAIMS = {"sub": "ada", "iss": ISSUER, "exp": 4_000_000_000}
ONE_OF_TWO = r"^with_auth\(\) takes either a configuration or a validator$"
FOREVER: dict[str, Any] = {"issuer": ISSUER, "max_lifetime": None}


def authentication(
    given: Any = None, validator: Any = None, *, required: bool | None = None
) -> Authentication:
    """Return the authentication, which must exist."""
    made = Authentication.of(given, validator, required=required)
    assert made is not None
    return made


async def let_in(made: Authentication, token: str | None = None) -> str | None:
    """Return the id of the principal with which a request is admitted, None if anonymous."""

    async def passed(context: Any) -> Response:
        return Response(context.principal)

    response = await made.interceptor(RUN)(make_context(side="server", token=token), passed)
    return None if response.result is None else response.result.id  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "validator", "required", "error", "text"),
    [
        (None, None, None, ValueError, ONE_OF_TWO),
        (config(), FakeValidator(), None, ValueError, ONE_OF_TWO),
        (None, object(), None, TypeError, "^object has no `validate`: see TokenValidator$"),
        (config(), None, True, ValueError, "^`required` goes with a validator; a configuration"),
        (NoAuthConfig(), None, False, ValueError, "^`required` goes with a validator; a conf"),
        ("jwt", None, None, TypeError, "^the configuration must be an AuthConfig, not str$"),
    ],
)
def test_what_makes_no_sense_is_refused(
    given: Any, validator: Any, required: bool | None, error: type[Exception], text: str
) -> None:
    """Contradictory arguments are refused with a helpful message."""
    with pytest.raises(error, match=text):
        Authentication.of(given, validator, required=required)


def test_nobody_is_asked_where_that_is_configured() -> None:
    """NoAuthConfig disables authentication."""
    assert Authentication.of(NoAuthConfig(), None, required=None) is None


@pytest.mark.parametrize(("required", "wanted"), [(None, True), (True, True), (False, False)])
async def test_a_validator_wants_a_token_unless_it_is_told_otherwise(
    required: bool | None, wanted: bool
) -> None:
    """A validator requires tokens by default; `required=False` makes them optional."""
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
    """`required` and the key come from the configuration; there is nothing to fetch."""
    key = pem(private_key("EdDSA"))
    rules = JwtAuthConfig(algorithms=["EdDSA"], public_key=key, required=required, **FOREVER)
    made = authentication(rules)
    assert (made.required, made.method, made.jwks) == (required, "JWT", None)
    assert await let_in(made, signed({"alg": "EdDSA"}, CLAIMS)) == "ada"
    if required:
        with pytest.raises(UnauthenticatedError):
            await let_in(made)
    else:
        assert await let_in(made) is None


async def test_a_shared_secret_is_the_key() -> None:
    """A secret is the key of the configured HMAC algorithms."""
    made = authentication(JwtAuthConfig(algorithms=["HS256"], secret=SECRET, **FOREVER))
    assert await let_in(made, signed({"alg": "HS256"}, CLAIMS, SECRET, "HS256")) == "ada"
    with pytest.raises(UnauthenticatedError):
        await let_in(made, signed({"alg": "HS512"}, CLAIMS, SECRET, "HS512"))


async def test_published_keys_are_fetched_from_the_start_until_the_end() -> None:
    """Keys at a URL are fetched from `start` on, before the first request."""
    key: Any = private_key("EdDSA").public_key()
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_bytes_raw()), "kid": "k"}
    server = HttpServer()
    server.behaviour = answer(b'{"keys": [%b]}' % str(jwk).replace("'", '"').encode())
    rules = JwtAuthConfig(algorithms=["EdDSA"], jwks_uri=server.uri, **FOREVER)
    made = authentication(rules)
    jwks = made.jwks
    assert isinstance(jwks, JwksKeySource)
    assert made.method == "JWT"
    jwks.start()
    while not server.paths:  # noqa: ASYNC110 - a thread fetches
        await asyncio.sleep(0.001)
    await until(lambda: jwks._fetching is None or jwks._fetching.done())
    assert jwks.state().keys == 1
    assert await let_in(made, signed({"alg": "EdDSA", "kid": "k"}, CLAIMS)) == "ada"
    await jwks.close()
    assert jwks._timer is None
    server.stop()
    assert server.paths == ["/keys"]


def test_operations_that_want_to_know_who_calls_are_named() -> None:
    """A service whose contract requires authentication cannot be built without it."""

    class Strict(Probe):
        """A probe whose contract requires authentication of two operations."""

        def endpoints(self) -> tuple[Endpoint, ...]:
            return (
                Endpoint.command(replace(RUN, auth=REQUIRED), self.run),
                Endpoint.plain_query(replace(GET, auth=OPTIONAL), self.get),
                Endpoint.query(replace(FIND, auth=REQUIRED), self.find),
            )

    builder = NatsServiceBuilder(Strict(), transport=MemoryTransport())
    for unasked in (builder, builder.with_auth(NoAuthConfig())):
        with pytest.raises(ValueError, match="requires authentication") as refused:
            unasked.build()
        assert str(refused.value) == (
            "the contract requires authentication for run, find: add with_auth(...)"
        )
    builder.with_auth(validator=FakeValidator()).build()
