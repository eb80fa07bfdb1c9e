"""Validation of authentication settings, and secrets that are never shown."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretBytes, SecretStr, TypeAdapter, ValidationError

from testkit.tokens import (
    SECRET,
    FakeValidator,
    config,
    good_claims,
    jwk,
    pem,
    private_key,
    signed,
    token,
)
from weenats.auth import AuthConfig, JwtAuthConfig, JwtValidator, NoAuthConfig, StaticKeySource

JWKS = "https://issuer.example/keys"
PUBLIC = pem(private_key("EdDSA"))
TYPO = "geheim-geheim"
PLAIN_HTTP = (
    "jwks_uri must use https: over plain http, an attacker can replace the keys; to allow it for"
    " this host, add the host to plain_http_hosts"
)


def validation_error(**settings: Any) -> str:
    """Return the error message for invalid settings."""
    with pytest.raises(ValueError, match="JwtAuthConfig") as raised:
        JwtAuthConfig(**settings)
    return str(raised.value)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "exactly one of public_key, jwks_uri and secret must be set"),
        ({"public_key": PUBLIC, "jwks_uri": JWKS}, "exactly one of"),
        ({"public_key": PUBLIC, "secret": SECRET}, "exactly one of"),
        ({"jwks_uri": JWKS, "secret": SECRET}, "exactly one of"),
        ({"public_key": PUBLIC, "jwks_headers": {"A": "b"}}, "jwks_headers requires jwks_uri"),
        ({"jwks_uri": JWKS, "jwks_headers": {"A b": "c"}}, "characters that HTTP does not allow"),
        ({"jwks_uri": JWKS, "jwks_headers": {"A": "b\r\nC: d"}}, "the header A has characters"),
        ({"jwks_uri": JWKS, "jwks_headers": {"A": "ä"}}, "not printable ASCII"),
        ({"jwks_uri": JWKS, "jwks_headers": {"HOST": "x"}}, "the header HOST cannot be set"),
        (
            {"jwks_uri": JWKS, "jwks_headers": {"Content-Length": "5"}},
            "Content-Length cannot be set",
        ),
        ({"public_key": PUBLIC, "jwks_uri": JWKS, "secret": SECRET}, "exactly one of"),
        ({"public_key": PUBLIC, "algorithms": []}, "at least 1 item"),
        ({"public_key": PUBLIC, "algorithms": "EdDSA"}, "not allowed as a Sequence"),
        ({"public_key": PUBLIC, "algorithms": None}, "algorithms"),
        ({"public_key": PUBLIC, "algorithms": ["none"]}, "Input should be 'EdDSA', 'ES256'"),
        ({"public_key": PUBLIC, "algorithms": ["EdDSA", "none"]}, "algorithms.1"),
        ({"public_key": PUBLIC, "algorithms": ["eddsa"]}, "Input should be"),
        ({"public_key": PUBLIC, "algorithms": ["ES256K"]}, "Input should be"),
        ({"public_key": PUBLIC, "algorithms": [""]}, "Input should be"),
        ({"public_key": PUBLIC, "algorithms": ["HS256", "EdDSA"]}, "cannot be combined"),
        ({"secret": SECRET, "algorithms": ["HS256", "RS256"]}, "cannot be combined"),
        ({"public_key": PUBLIC, "algorithms": ["HS256"]}, "require secret, not public keys"),
        ({"jwks_uri": JWKS, "algorithms": ["HS256"]}, "require secret, not public keys"),
        ({"secret": SECRET, "algorithms": ["EdDSA"]}, "secret requires HMAC"),
        ({"secret": SECRET[:31], "algorithms": ["HS256"]}, "at least 32 bytes"),
        ({"secret": SECRET[:63], "algorithms": ["HS256", "HS512"]}, "at least 64 bytes"),
        ({"secret": "", "algorithms": ["HS256"]}, "at least 32 bytes"),
        ({"secret": PUBLIC, "algorithms": ["HS256"]}, "must be random bytes, not a key"),
        ({"public_key": "", "algorithms": ["EdDSA"]}, "one PEM block"),
        ({"public_key": PUBLIC, "algorithms": ["RS256"]}, "fits none of the algorithms"),
        ({"public_key": PUBLIC, "algorithms": ["EdDSA", "RS256"]}, "does not fit RS256"),
    ],
)
def test_key_must_fit_the_algorithms(settings: dict[str, Any], reason: str) -> None:
    """Exactly one key source is given, and it fits all the algorithms."""
    assert reason in validation_error(**{"algorithms": ["EdDSA"], **settings})


@pytest.mark.parametrize(
    "issuer",
    ["", " ", " https://issuer.example", "https://issuer.example\n", "a\x00b", "x" * 256, 5],
)
def test_issuer_that_no_token_can_have_is_rejected(issuer: Any) -> None:
    """An issuer that is not a text of printable characters is rejected."""
    assert "issuer" in validation_error(algorithms=["EdDSA"], public_key=PUBLIC, issuer=issuer)


@pytest.mark.parametrize(
    "uri",
    [
        "http://issuer.example/keys",
        "http://localhost.issuer.example/keys",
        "http://127.0.0.1.issuer.example/keys",
        "http://10.0.0.1/keys",
        "http://0.0.0.0/keys",
        "http://127.1/keys",
        "http://2130706433/keys",
        "http://[::2]/keys",
        "http://localhost@issuer.example/keys",
        "http://issuer.example\\@localhost/keys",
        "https://issuer.example\\keys",
        "HTTP://issuer.example/keys",
        "https://user:pass@issuer.example/keys",
        "https://issuer.example/keys#a",
        "file:///etc/keys",
        "ftp://issuer.example/keys",
        "data:application/json,{}",
        "//issuer.example/keys",
        "/keys",
        "",
        "https://issuer.example/ keys",
        "https://issuer.example/keys\r\nHost: evil",
    ],
)
def test_unsafe_jwks_uri_is_rejected(uri: str) -> None:
    """Remote plain http, other schemes, passwords and misleading hosts are rejected."""
    assert "jwks_uri" in validation_error(algorithms=["EdDSA"], jwks_uri=uri)


@pytest.mark.parametrize(
    "uri",
    [
        JWKS,
        "https://issuer.example:8443/keys?tenant=5",
        "http://localhost:8080/keys",
        "http://LOCALHOST/keys",
        "http://127.0.0.1/keys",
        "http://127.8.0.9/keys",
        "http://[::1]:80/keys",
        "http://keys.internal/keys",
    ],
)
def test_plain_http_is_allowed_for_loopback_and_listed_hosts(uri: str) -> None:
    """https, loopback addresses and the hosts in plain_http_hosts are accepted."""
    made = JwtAuthConfig(algorithms=["EdDSA"], jwks_uri=uri, plain_http_hosts=["Keys.internal"])
    assert made.jwks_uri == uri


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (
            {"public_key": PUBLIC, "issuer": "issuer\n"},
            "issuer must be 1 to 255 printable characters without spaces around them",
        ),
        (
            {"jwks_uri": "https://user@issuer.example/keys"},
            "jwks_uri must be an https URL without user and fragment",
        ),
        (
            {"jwks_uri": "http://issuer.example/keys"},
            PLAIN_HTTP,
        ),
        (
            {"algorithms": ["HS256"], "secret": PUBLIC},
            "a secret must be random bytes, not a key of another algorithm",
        ),
        ({"public_key": PUBLIC, "leeway": -1}, "Input should be greater than or equal to 0"),
        ({"public_key": PUBLIC, "cache_ttl": 61}, "Input should be less than or equal to 60"),
        ({"public_key": PUBLIC, "max_lifetime": 0}, "Input should be greater than 0"),
    ],
)
def test_error_message_is_readable(settings: dict[str, Any], text: str) -> None:
    """The message says what is valid, and its type differs from pydantic's own errors."""
    with pytest.raises(ValidationError) as refused:
        JwtAuthConfig(**{"algorithms": ["EdDSA"], **settings})
    assert [(each["type"], each["msg"]) for each in refused.value.errors()] == [
        ("auth_config", text)
    ]


@pytest.mark.parametrize(
    "bound", [{"leeway": 0}, {"leeway": 600}, {"cache_ttl": 0}, {"max_lifetime": 0.001}]
)
def test_minimum_and_maximum_values_are_accepted(bound: dict[str, Any]) -> None:
    """The smallest and largest allowed values are accepted."""
    (name,) = bound
    made = JwtAuthConfig(algorithms=["EdDSA"], public_key=PUBLIC, **bound)
    assert getattr(made, name) == bound[name]


@pytest.mark.parametrize(
    "settings",
    [
        {"leeway": -1},
        {"leeway": 601},
        {"leeway": float("nan")},
        {"leeway": float("inf")},
        {"leeway": "30"},
        {"leeway": timedelta(hours=1)},
        {"cache_ttl": 61},
        {"cache_ttl": -1},
        {"cache_ttl": None},
        {"cache_size": -1},
        {"cache_size": 1.5},
        {"cache_size": True},
        {"max_token_bytes": 0},
        {"max_token_bytes": 5_000_000},
        {"max_token_bytes": "8192"},
        {"max_lifetime": 0},
        {"max_lifetime": -1},
        {"max_lifetime": float("inf")},
        {"max_lifetime": float("nan")},
        {"required_claims": ["sub"]},
        {"required_claims": "exp"},
        {"required_claims": [""]},
        {"principal_claim": ""},
        {"principal_claim": None},
        {"token_types": []},
        {"token_types": "JWT"},
        {"audience": ""},
        {"audience": []},
        {"audience": [""]},
        {"audience": 5},
        {"required": "yes"},
        {"required": 1},
        {"type": "none"},
        {"public_keys": PUBLIC},
        {"Audience": "receipts"},
    ],
)
def test_invalid_settings_are_rejected(settings: dict[str, Any]) -> None:
    """Wrong types, values out of range and unknown names are rejected, naming the setting."""
    text = validation_error(**{"algorithms": ["EdDSA"], "public_key": PUBLIC, **settings})
    assert next(iter(settings)) in text


def test_defaults_match_the_documentation() -> None:
    """The default settings are the documented, safe ones."""
    made = JwtAuthConfig(algorithms=["EdDSA"], public_key=PUBLIC)
    assert (made.type, made.required, made.leeway) == ("jwt", True, 30)
    assert (made.required_claims, made.principal_claim) == (("exp", "sub"), "sub")
    assert (made.max_token_bytes, made.cache_ttl, made.cache_size) == (8192, 60, 10_000)
    assert (made.issuer, made.audience, made.token_types) == (None, None, None)
    assert made.max_lifetime == 86_400


def test_durations_accept_seconds_and_timedeltas() -> None:
    """Durations are kept as seconds."""
    made = config(leeway=timedelta(seconds=5), max_lifetime=timedelta(hours=1), cache_ttl=1)
    assert (made.leeway, made.max_lifetime, made.cache_ttl) == (5, 3600, 1)


def test_configuration_is_immutable() -> None:
    """Neither assignment nor the mutable arguments can change it."""
    algorithms: list[Any] = ["EdDSA"]
    made = JwtAuthConfig(algorithms=algorithms, public_key=PUBLIC)
    algorithms.append("none")
    assert made.algorithms == ("EdDSA",)
    audiences = ["receipts", "billing"]
    assert config(audience=audiences).audience == (*audiences,)
    assert config(audience="receipts").audience == "receipts"
    with pytest.raises(ValidationError):
        made.required = False  # type: ignore[misc]


@pytest.mark.parametrize("form", [str, bytes, SecretStr, SecretBytes])
def test_secret_is_never_shown(form: Any) -> None:
    """repr, str and dumps show no secret, in whatever type it was given."""
    text = "0123456789abcdef0123456789abcdef"
    given = form(text.encode() if form in {bytes, SecretBytes} else text)
    made = JwtAuthConfig(algorithms=["HS256"], secret=given)
    assert made.secret_value == text.encode()
    for shown in (repr(made), str(made), repr(made.model_dump()), made.model_dump_json()):
        assert text not in shown
    for shown in (repr(config()), str(config()), repr(config(public_key=jwk(private_key())))):
        assert "public_key" not in shown


@pytest.mark.parametrize(
    "settings",
    [
        {"secret": TYPO},
        {"secret": TYPO.encode()},
        {"secret": [TYPO]},
        {"secret": TYPO * 3, "leeway": -1},
        {"secret": TYPO * 3, "algorithms": ["HS256", TYPO]},
        {"secret": TYPO * 3, "algorithms": ["RS256"]},
        {"secret": TYPO * 3, "jwks_uri": f"http://{TYPO}"},
        {"public_key": TYPO, "algorithms": ["EdDSA"]},
        {"public_key": {"kty": "oct", "k": TYPO}, "algorithms": ["EdDSA"]},
        {"public_key": {"kty": TYPO, "k": TYPO}, "algorithms": ["EdDSA"]},
        {"public_key": {"kty": "OKP", "crv": "Ed25519", "x": TYPO}, "algorithms": ["EdDSA"]},
        {"jwks_uri": f"https://user:{TYPO}@issuer.example"},
    ],
)
@pytest.mark.parametrize("way", ["construct", "validate", "adapter", "json"])
def test_errors_do_not_show_input_values(settings: dict[str, Any], way: str) -> None:
    """A validation error in any form does not contain the mistyped secret."""
    settings = {"algorithms": ["HS256"], **settings}
    adapter: TypeAdapter[Any] = TypeAdapter(AuthConfig)
    text = repr({**settings, "type": "jwt"}).replace("b'", "'").replace("'", '"')
    ways: dict[str, Callable[[], Any]] = {
        "construct": lambda: JwtAuthConfig(**settings),
        "validate": lambda: JwtAuthConfig.model_validate(settings),
        "adapter": lambda: adapter.validate_python({"type": "jwt", **settings}),
        "json": lambda: adapter.validate_json(text),
    }
    with pytest.raises(ValueError, match="validation error") as raised:
        ways[way]()
    error: Any = raised.value
    chain = "".join(traceback.format_exception(error))
    told = chain[chain.index("validation error") :]
    for shown in (str(error), repr(error), repr(error.errors()), error.json(), told):
        assert TYPO not in shown
    assert error.__cause__ is None
    assert error.__context__ is None


def test_type_selects_the_configuration_class() -> None:
    """The field `type` selects the class; settings can come from a file."""
    adapter: TypeAdapter[Any] = TypeAdapter(AuthConfig)
    assert adapter.validate_python({"type": "none"}) == NoAuthConfig()
    settings = {"type": "jwt", "algorithms": ["EdDSA"], "public_key": PUBLIC.decode()}
    assert adapter.validate_python(settings).algorithms == ("EdDSA",)
    for bad in ({}, {"type": "basic"}, {"type": "none", "algorithms": ["EdDSA"]}):
        with pytest.raises(ValidationError):
            adapter.validate_python(bad)


@pytest.mark.parametrize(
    "update",
    [
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"secret": SecretBytes(b"x")},
        {"leeway": 1e9},
        {"max_token_bytes": 10**9},
    ],
)
def test_model_copy_with_invalid_values_is_rejected(update: dict[str, Any]) -> None:
    """Pydantic copies without validation; JwtValidator validates the copy."""
    changed = config().model_copy(update=update)
    with pytest.raises(ValidationError):
        JwtValidator(changed, StaticKeySource({}))


async def test_hmac_token_is_accepted() -> None:
    """A shared secret verifies tokens of the HMAC algorithms."""
    judge = FakeValidator(algorithms=["HS512"], secret=SECRET)
    forged = token(algorithm="EdDSA", alg="HS512")
    with pytest.raises(Exception, match="UNAUTHENTICATED"):
        await judge.validate(forged)
    text = signed({"alg": "HS512"}, good_claims(), SECRET, "HS512")
    assert (await judge.validate(text)).id == "ada"
