"""Attacks with the claims of correctly signed tokens: times, strings, numbers, duplicate names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from testkit.tokens import (
    AUDIENCE,
    ISSUER,
    NOW,
    FakeValidator,
    good_claims,
    signed,
    token,
    validated,
)
from weenats.auth import InvalidTokenError

HEADER = {"alg": "EdDSA", "typ": "JWT"}


async def refused(text: str, **changes: Any) -> str:
    """Return the reason for which a token is refused."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
async def test_a_missing_claim_refuses(claim: str) -> None:
    """Tokens without exp, sub, iss or aud are refused."""
    assert await refused(token(good_claims(**{claim: None}))) == f"the claim {claim} is missing"


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud", "iat", "jti"])
async def test_a_null_claim_refuses(claim: str) -> None:
    """A null claim counts as missing or malformed, never as a value."""
    assert await refused(token({**good_claims(), claim: None})) in {
        f"the claim {claim} is missing",
        f"{claim} is not a valid time",
        f"{claim} is not a string",
        "wrong issuer",
    }


async def test_more_claims_can_be_required() -> None:
    """A claim in `required_claims` must be present with any value."""
    rules = {"required_claims": ["exp", "sub", "jti", "tenant"]}
    claims = good_claims(jti="1", tenant={"id": 5})
    assert (await validated(token(claims), **rules)).claims["tenant"]["id"] == 5
    assert await refused(token({**claims, "tenant": None}), **rules) == (
        "the claim tenant is missing"
    )


@pytest.mark.parametrize(
    ("past", "holds"), [(-1, True), (0, True), (29.9, True), (30, False), (31, False), (1e9, False)]
)
async def test_a_token_expires(past: float, holds: bool) -> None:
    """A token expires at exp plus leeway, by the validator's clock."""
    judge = FakeValidator(max_lifetime=None)
    judge.time.now = NOW + 600 + past
    if holds:
        assert (await judge.validate(token())).expires_at == NOW + 600
    else:
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(token())
        assert raised.value.reason == "the token has expired"


@pytest.mark.parametrize(
    ("claim", "reason"),
    [
        ("nbf", "the token is not valid yet (nbf)"),
        ("iat", "the token was issued in the future (iat)"),
    ],
)
async def test_a_token_from_the_future_is_refused(claim: str, reason: str) -> None:
    """A token whose nbf or iat is more than the leeway in the future is refused."""
    assert (await validated(token(good_claims(**{claim: NOW + 30})))).id == "ada"
    assert await refused(token(good_claims(**{claim: NOW + 31}))) == reason
    assert await refused(token(good_claims(**{claim: NOW + 1})), leeway=0) == reason


NO_TIMES = [
    "1800000600",
    "soon",
    "",
    True,
    False,
    [NOW + 600],
    {"at": NOW + 600},
    -1,
    -0.5,
    10**30,
    1e300,
    253_402_300_800,
    10**4000,
]


@pytest.mark.parametrize("value", NO_TIMES)
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
async def test_a_time_is_a_number_of_our_era(claim: str, value: Any) -> None:
    """Strings, booleans, arrays, negative and huge numbers are not valid times."""
    text = token({**good_claims(), claim: value})
    assert await refused(text, max_lifetime=None) == f"{claim} is not a valid time"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "other"])
async def test_a_number_is_finite(claim: str, number: str) -> None:
    """A number that JSON or Python cannot represent is refused anywhere in the claims."""
    claims = {name: value for name, value in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":{number}}}'.encode()
    reason = await refused(signed(HEADER, payload))
    assert reason.startswith("malformed claims: ")


async def test_a_time_may_have_a_fraction() -> None:
    """Fractions of seconds are allowed (RFC 7519) and count."""
    text = token(good_claims(exp=NOW + 0.5, iat=NOW - 0.5))
    judge = FakeValidator(leeway=0)
    assert (await judge.validate(text)).expires_at == NOW + 0.5
    judge.time.now = NOW + 0.5
    with pytest.raises(InvalidTokenError):
        await judge.validate(text)


@pytest.mark.parametrize("years", [2, 30, 100, 7000])
async def test_a_token_does_not_live_for_ever(years: int) -> None:
    """An exp in the far future is refused, with and without iat."""
    far = NOW + years * 31_556_952
    assert await refused(token(good_claims(exp=far))) == "the lifetime exceeds max_lifetime"
    assert (
        await refused(token(good_claims(exp=far, iat=None))) == "the lifetime exceeds max_lifetime"
    )
    assert (await validated(token(good_claims(exp=far)), max_lifetime=None)).expires_at == far


async def test_lifetime_counts_from_the_issue() -> None:
    """The lifetime counts from iat, so a long-lived token is refused until its end."""
    rules = {"max_lifetime": 3600, "leeway": 0}
    assert (await validated(token(good_claims(iat=NOW - 3000)), **rules)).id == "ada"
    text = token(good_claims(iat=NOW - 3001))
    assert await refused(text, **rules) == "the lifetime exceeds max_lifetime"
    apart = {"max_lifetime": 3600, "leeway": 30}
    assert (await validated(token(good_claims(iat=NOW - 3030)), **apart)).id == "ada"
    text = token(good_claims(iat=NOW - 3031))
    assert await refused(text, **apart) == "the lifetime exceeds max_lifetime"


async def test_the_first_and_the_last_second_are_times() -> None:
    """Times from 0 to the end of the year 9999 are accepted."""
    text = token(good_claims(nbf=0, iat=0, exp=253_402_300_799))
    assert (await validated(text, max_lifetime=None)).expires_at == 253_402_300_799


@pytest.mark.parametrize(
    "payload",
    [
        b'"sub":"eve"',
        b'"exp":9999999999',
        b'"scope":"admin"',
        b'"nested":{"a":1,"a":2}',
        b'"s\\u0075b":"eve"',
    ],
)
async def test_a_claim_is_named_once(payload: bytes) -> None:
    """Duplicate claims are refused, also with escapes, since parsers differ."""
    text = signed(HEADER, json.dumps(good_claims()).encode()[:-1] + b"," + payload + b"}")
    assert await refused(text) == "malformed claims: duplicate member"


NO_NAMES = [
    "",
    "a\x00da",
    "ada\n",
    "a\x1bda",
    "a\x7fda",
    "a\x85da",
    "ada\u2028",
    "\u202eada",
    "ad\u200ba",
    "a\u00a0da",
    "a" * 256,
]


@pytest.mark.parametrize("value", NO_NAMES)
async def test_a_subject_is_printable(value: str) -> None:
    """A subject that is empty, too long or not printable is refused."""
    assert await refused(token(good_claims(sub=value))) == (
        "sub is not a string of 1 to 255 printable characters"
    )


@pytest.mark.parametrize("value", ["\\ud800", "a\\udfff", "\\udc00\\ud800"])
@pytest.mark.parametrize("claim", ["sub", "name", "scope"])
async def test_half_a_surrogate_pair_is_refused(claim: str, value: str) -> None:
    """An unpaired surrogate, which cannot be encoded, is refused in every claim."""
    claims = {name: item for name, item in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":"{value}"}}'.encode()
    assert await refused(signed(HEADER, payload)) == "malformed claims: not valid JSON in UTF-8"


@pytest.mark.parametrize(
    "value", ["ada@example.org", "auth0|5", "Ada Lovelace", "\u00e9", "\U0001f600", "a" * 255]
)
async def test_a_subject_may_be_any_text(value: str) -> None:
    """Any printable Unicode is a valid subject, surrogate pairs included."""
    assert (await validated(token(good_claims(sub=value)))).id == value


@pytest.mark.parametrize("value", [5, True, ["ada"], {"id": "ada"}, 0, 1.5])
@pytest.mark.parametrize("claim", ["sub", "jti"])
async def test_an_id_is_text(claim: str, value: Any) -> None:
    """Numbers, arrays and objects are not valid ids."""
    assert await refused(token(good_claims(**{claim: value}))) == f"{claim} is not a string"


@pytest.mark.parametrize(
    "value",
    [
        "https://issuer.example/",
        "https://issuer.example.evil",
        "https://issuer",
        "HTTPS://ISSUER.EXAMPLE",
        "",
        [ISSUER],
        {ISSUER: 1},
        5,
    ],
)
async def test_the_issuer_is_exactly_that(value: Any) -> None:
    """The issuer is compared exactly: case, prefix, suffix and arrays differ."""
    assert await refused(token(good_claims(iss=value))) == "wrong issuer"


@pytest.mark.parametrize(
    "value",
    [
        "Receipts",
        "receipts ",
        "receipt",
        "receipts-admin",
        ["billing"],
        ["receipts", 5],
        [["receipts"]],
        {"receipts": True},
        5,
        "receipts,billing",
    ],
)
async def test_the_audience_is_exactly_that(value: Any) -> None:
    """The audience is compared exactly, and must be a string or an array of strings."""
    assert await refused(token(good_claims(aud=value))) == "wrong audience"


@pytest.mark.parametrize("value", ["", []])
async def test_an_empty_audience_is_none(value: Any) -> None:
    """A token with an empty audience is refused."""
    assert await refused(token(good_claims(aud=value))) == "the claim aud is missing"


async def test_one_of_several_audiences_will_do() -> None:
    """One common audience is enough, of several in the token and in the settings."""
    both = token(good_claims(aud=["billing", AUDIENCE]))
    assert (await validated(both)).id == "ada"
    assert (await validated(token(), audience=["old-name", AUDIENCE])).id == "ada"


async def test_without_an_audience_only_tokens_for_everybody_are_taken() -> None:
    """Without a configured audience, tokens with an aud are refused."""
    assert await refused(token(), audience=None) == "wrong audience"
    assert (await validated(token(good_claims(aud=None)), audience=None)).id == "ada"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "not an object"),
        (b'"ada"', "not an object"),
        (b"null", "not an object"),
        (b"5", "not an object"),
        (b"\x00", "not valid JSON in UTF-8"),
        (b"{}{}", "not valid JSON in UTF-8"),
        (b"{'sub':'ada'}", "not valid JSON in UTF-8"),
        (b"\xff\xfe{\x00}\x00", "not valid JSON in UTF-8"),
        (b"\xef\xbb\xbf{}", "not valid JSON in UTF-8"),
        (b'{"sub":"\xc0\xaf"}', "not valid JSON in UTF-8"),
        (b'{"x":' + b"[" * 2500 + b"]" * 2500 + b"}", "nested more than 32 levels deep"),
        (b'{"x":' * 900 + b"1" + b"}" * 900, "nested more than 32 levels deep"),
        (b"[" * 6000, "nested more than 32 levels deep"),
    ],
)
async def test_claims_are_one_json_object(payload: bytes, reason: str) -> None:
    """Other JSON values, other encodings and deep nesting are refused."""
    assert await refused(signed(HEADER, payload)) == f"malformed claims: {reason}"


async def test_a_token_in_a_token_is_refused() -> None:
    """A nested token, which RFC 7519 allows, is refused."""
    text = signed({**HEADER, "cty": "JWT"}, token().encode())
    assert await refused(text) == "malformed claims: not valid JSON in UTF-8"


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scope": " a  b "}, {"a", "b"}),
        ({"scope": ""}, set()),
        ({"scp": "a b"}, {"a", "b"}),
        ({"scp": ["a", "b"]}, {"a", "b"}),
        ({"scope": "a", "scp": ["b"]}, {"a", "b"}),
        ({"scp": ["a b"]}, {"a b"}),
        ({"scope": "a\u00a0b"}, {"a\u00a0b"}),
        ({"scope": "a\tb\nc"}, {"a\tb\nc"}),
        ({"scp": "a\u00a0b\tc"}, {"a\u00a0b\tc"}),
        ({}, set()),
    ],
)
async def test_scopes_are_parted_by_spaces(claims: dict[str, Any], scopes: set[str]) -> None:
    """`scope` and `scp` are merged; only spaces separate scopes."""
    text = token({**good_claims(scope=None), **claims})
    assert (await validated(text)).scopes == scopes


@pytest.mark.parametrize("claim", ["scope", "scp"])
@pytest.mark.parametrize("value", [5, True, {"a": 1}, ["a", 5], [["a"]], [None]])
async def test_malformed_scopes_refuse(claim: str, value: Any) -> None:
    """A malformed scope claim refuses the token."""
    reason = await refused(token({**good_claims(scope=None), claim: value}))
    assert reason.startswith(f"{claim} is not a string")


async def test_another_claim_may_name_the_principal() -> None:
    """`principal_claim` names the claim of the id, which must be present and valid."""
    rules = {"principal_claim": "client_id"}
    assert (await validated(token(good_claims(client_id="c-1")), **rules)).id == "c-1"
    assert await refused(token(), **rules) == "the principal claim is missing"
    assert await refused(token(good_claims(client_id=5)), **rules) == (
        "client_id is not a string of 1 to 255 printable characters"
    )
    assert await refused(token(good_claims(client_id="c-1", sub="a\nda")), **rules) == (
        "sub is not a string of 1 to 255 printable characters"
    )
