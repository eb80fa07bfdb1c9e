"""From the arguments of with_auth() to the authentication interceptor."""

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
    """Return an Authentication; fail if there is none."""
    made = Authentication.of(given, validator, required=required)
    assert made is not None
    return made


async def authenticate(made: Authentication, token: str | None = None) -> str | None:
    """Return the id of the authenticated principal, or None for an anonymous caller."""

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
        (
            "jwt",
            None,
            None,
            TypeError,
            "^config must be a JwtAuthConfig or a NoAuthConfig, not str$",
        ),
        (JwtAuthConfig, None, None, TypeError, "not class JwtAuthConfig$"),
    ],
)
def test_inconsistent_arguments_are_rejected(
    given: Any, validator: Any, required: bool | None, error: type[Exception], text: str
) -> None:
    """Inconsistent arguments fail immediately, and the error says what is valid."""
    with pytest.raises(error, match=text):
        Authentication.of(given, validator, required=required)


def test_no_auth_config_disables_authentication() -> None:
    """With NoAuthConfig there is no Authentication."""
    assert Authentication.of(NoAuthConfig(), None, required=None) is None


@pytest.mark.parametrize(("required", "wanted"), [(None, True), (True, True), (False, False)])
async def test_validator_requires_a_token_by_default(required: bool | None, wanted: bool) -> None:
    """A token that is present is always validated; the class name is the reported method."""
    made = authentication(validator=FakeValidator(), required=required)
    assert (made.required, made.method, made.jwks) == (wanted, "FakeValidator", None)
    if wanted:
        with pytest.raises(UnauthenticatedError):
            await authenticate(made)
    else:
        assert await authenticate(made) is None
    with pytest.raises(UnauthenticatedError):
        await authenticate(made, "x")


@pytest.mark.parametrize("required", [True, False])
async def test_config_decides_whether_a_token_is_required(required: bool) -> None:
    """A configuration with a static key has nothing to fetch: start and close do nothing."""
    key = pem(private_key("EdDSA"))
    rules = JwtAuthConfig(algorithms=["EdDSA"], public_key=key, required=required, **FOREVER)
    made = authentication(rules)
    assert (made.required, made.method, made.jwks) == (required, "JWT", None)
    assert await authenticate(made, signed({"alg": "EdDSA"}, CLAIMS)) == "ada"
    if required:
        with pytest.raises(UnauthenticatedError):
            await authenticate(made)
    else:
        assert await authenticate(made) is None


async def test_shared_secret_verifies_hmac_tokens() -> None:
    """Only tokens of the configured HMAC algorithms are accepted."""
    made = authentication(JwtAuthConfig(algorithms=["HS256"], secret=SECRET, **FOREVER))
    assert await authenticate(made, signed({"alg": "HS256"}, CLAIMS, SECRET, "HS256")) == "ada"
    with pytest.raises(UnauthenticatedError):
        await authenticate(made, signed({"alg": "HS512"}, CLAIMS, SECRET, "HS512"))


async def test_jwks_are_fetched_between_start_and_close() -> None:
    """The keys at jwks_uri are fetched at the start, before the first request."""
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
    assert await authenticate(made, signed({"alg": "EdDSA", "kid": "k"}, CLAIMS)) == "ada"
    await jwks.close()
    assert jwks._timer is None
    server.stop()
    assert server.paths == ["/keys"]


def test_missing_with_auth_names_operations_that_require_it() -> None:
    """Without with_auth() the error names the operations that require authentication."""

    class Strict(Probe):
        """A probe whose contract requires authentication of two operations."""

        def endpoints(self) -> tuple[Endpoint, ...]:
            return (
                Endpoint.command(replace(RUN, auth=REQUIRED), self.run),
                Endpoint.plain_query(replace(GET, auth=OPTIONAL), self.get),
                Endpoint.query(replace(FIND, auth=REQUIRED), self.find),
            )

    builder = NatsServiceBuilder(Strict(), transport=MemoryTransport())
    off = builder.with_auth(NoAuthConfig())
    turned_off = (
        "with_auth(NoAuthConfig()) turns it off; pass a JwtAuthConfig or a validator instead"
    )
    missing = (
        "add with_auth(...) to the builder, or set WEENATS_JWKS_URI if EnvironmentSettings makes it"
    )
    for unasked, remedy in ((builder, missing), (off, turned_off)):
        with pytest.raises(ValueError, match="requires authentication") as refused:
            unasked.build()
        assert str(refused.value) == (
            f"the contract requires authentication for run, find: {remedy}"
        )
    off.with_auth(validator=FakeValidator()).build()
    builder.with_auth(validator=FakeValidator()).build()
