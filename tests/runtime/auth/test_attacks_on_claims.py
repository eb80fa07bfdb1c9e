"""Attacks with the claims of a correctly signed token: times, strings, numbers, duplicates."""

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


async def rejection_reason(text: str, **changes: Any) -> str:
    """Return why a token is rejected."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
async def test_missing_claim_is_rejected(claim: str) -> None:
    """Tokens without exp, sub, iss or aud are rejected."""
    assert (
        await rejection_reason(token(good_claims(**{claim: None})))
        == f"the claim {claim} is missing"
    )


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud", "iat", "jti"])
async def test_null_claim_is_rejected(claim: str) -> None:
    """A null claim counts as missing or malformed, never as a value."""
    assert await rejection_reason(token({**good_claims(), claim: None})) in {
        f"the claim {claim} is missing",
        f"{claim} is not a valid time",
        f"{claim} is not a string",
        "wrong issuer",
    }


async def test_required_claims_can_be_configured() -> None:
    """A claim in required_claims must be present, with any value but null."""
    rules = {"required_claims": ["exp", "sub", "jti", "tenant"]}
    claims = good_claims(jti="1", tenant={"id": 5})
    assert (await validated(token(claims), **rules)).claims["tenant"]["id"] == 5
    assert await rejection_reason(token({**claims, "tenant": None}), **rules) == (
        "the claim tenant is missing"
    )


@pytest.mark.parametrize(
    ("past", "holds"), [(-1, True), (0, True), (29.9, True), (30, False), (31, False), (1e9, False)]
)
async def test_token_expires_after_exp_plus_leeway(past: float, holds: bool) -> None:
    """A token is rejected from exp plus the leeway on, by the local clock."""
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
async def test_token_from_the_future_is_rejected(claim: str, reason: str) -> None:
    """The claims nbf and iat may be at most the leeway in the future."""
    assert (await validated(token(good_claims(**{claim: NOW + 30})))).id == "ada"
    assert await rejection_reason(token(good_claims(**{claim: NOW + 31}))) == reason
    assert await rejection_reason(token(good_claims(**{claim: NOW + 1})), leeway=0) == reason


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
async def test_time_claim_must_be_a_number_in_range(claim: str, value: Any) -> None:
    """Strings, booleans, lists, negative and huge numbers are not valid times."""
    text = token({**good_claims(), claim: value})
    assert await rejection_reason(text, max_lifetime=None) == f"{claim} is not a valid time"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "other"])
async def test_claim_with_a_non_finite_number_is_rejected(claim: str, number: str) -> None:
    """NaN, infinities and numbers that Python cannot hold are rejected in every claim."""
    claims = {name: value for name, value in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":{number}}}'.encode()
    reason = await rejection_reason(signed(HEADER, payload))
    assert reason.startswith("malformed claims: ")


async def test_fractional_times_are_honoured() -> None:
    """Times may have fractions (RFC 7519), and the fractions count."""
    text = token(good_claims(exp=NOW + 0.5, iat=NOW - 0.5))
    judge = FakeValidator(leeway=0)
    assert (await judge.validate(text)).expires_at == NOW + 0.5
    judge.time.now = NOW + 0.5
    with pytest.raises(InvalidTokenError):
        await judge.validate(text)


@pytest.mark.parametrize("years", [2, 30, 100, 7000])
async def test_token_beyond_max_lifetime_is_rejected(years: int) -> None:
    """An exp in the far future is rejected, with and without iat."""
    far = NOW + years * 31_556_952
    assert (
        await rejection_reason(token(good_claims(exp=far))) == "the lifetime exceeds max_lifetime"
    )
    assert (
        await rejection_reason(token(good_claims(exp=far, iat=None)))
        == "the lifetime exceeds max_lifetime"
    )
    assert (await validated(token(good_claims(exp=far)), max_lifetime=None)).expires_at == far


async def test_lifetime_is_counted_from_iat() -> None:
    """A token issued with too long a lifetime stays rejected until it expires."""
    rules = {"max_lifetime": 3600, "leeway": 0}
    assert (await validated(token(good_claims(iat=NOW - 3000)), **rules)).id == "ada"
    text = token(good_claims(iat=NOW - 3001))
    assert await rejection_reason(text, **rules) == "the lifetime exceeds max_lifetime"
    apart = {"max_lifetime": 3600, "leeway": 30}
    assert (await validated(token(good_claims(iat=NOW - 3030)), **apart)).id == "ada"
    text = token(good_claims(iat=NOW - 3031))
    assert await rejection_reason(text, **apart) == "the lifetime exceeds max_lifetime"


async def test_earliest_and_latest_valid_times_are_accepted() -> None:
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
async def test_duplicate_claims_are_rejected(payload: bytes) -> None:
    """A claim that appears twice is rejected, also when the spelling of its name differs."""
    text = signed(HEADER, json.dumps(good_claims()).encode()[:-1] + b"," + payload + b"}")
    assert await rejection_reason(text) == "malformed claims: duplicate member"


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
async def test_unprintable_subject_is_rejected(value: str) -> None:
    """Empty, too long, invisible and control characters in sub are rejected."""
    assert await rejection_reason(token(good_claims(sub=value))) == (
        "sub is not a string of 1 to 255 printable characters"
    )


@pytest.mark.parametrize("value", ["\\ud800", "a\\udfff", "\\udc00\\ud800"])
@pytest.mark.parametrize("claim", ["sub", "name", "scope"])
async def test_lone_surrogate_is_rejected(claim: str, value: str) -> None:
    """A lone surrogate cannot be encoded and is rejected in every claim."""
    claims = {name: item for name, item in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":"{value}"}}'.encode()
    assert (
        await rejection_reason(signed(HEADER, payload))
        == "malformed claims: not valid JSON in UTF-8"
    )


@pytest.mark.parametrize(
    "value", ["ada@example.org", "auth0|5", "Ada Lovelace", "\u00e9", "\U0001f600", "a" * 255]
)
async def test_printable_subjects_are_accepted(value: str) -> None:
    """Any printable text is accepted as sub, complete surrogate pairs included."""
    assert (await validated(token(good_claims(sub=value)))).id == value


@pytest.mark.parametrize("value", [5, True, ["ada"], {"id": "ada"}, 0, 1.5])
@pytest.mark.parametrize("claim", ["sub", "jti"])
async def test_non_string_id_claim_is_rejected(claim: str, value: Any) -> None:
    """Numbers, booleans, lists and objects are rejected as sub and jti."""
    assert (
        await rejection_reason(token(good_claims(**{claim: value}))) == f"{claim} is not a string"
    )


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
async def test_issuer_must_match_exactly(value: Any) -> None:
    """Another case, a prefix, a longer issuer and a list are rejected."""
    assert await rejection_reason(token(good_claims(iss=value))) == "wrong issuer"


@pytest.mark.parametrize(
    "issuer",
    [
        "accounts.google.com",
        "kubernetes/serviceaccount",
        "urn:corp:idp",
        "orders-gateway",
        "https://issuer.example/tenants?id=5",
        "b\u00fcro",
    ],
)
async def test_issuer_need_not_be_a_url(issuer: str) -> None:
    """An issuer is any text (RFC 7519, section 4.1.1), and is compared exactly."""
    claims = good_claims(iss=issuer)
    assert (await validated(token(claims), issuer=issuer)).issuer == issuer
    assert await rejection_reason(token(claims), issuer=f"{issuer}/") == "wrong issuer"


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
async def test_audience_must_match_exactly(value: Any) -> None:
    """Another case, a prefix, a longer audience and malformed lists are rejected."""
    assert await rejection_reason(token(good_claims(aud=value))) == "wrong audience"


@pytest.mark.parametrize("value", ["", []])
async def test_empty_audience_counts_as_missing(value: Any) -> None:
    """An empty aud is rejected like a missing one."""
    assert await rejection_reason(token(good_claims(aud=value))) == "the claim aud is missing"


async def test_one_matching_audience_is_enough() -> None:
    """The token or the configuration may list several audiences."""
    both = token(good_claims(aud=["billing", AUDIENCE]))
    assert (await validated(both)).id == "ada"
    assert (await validated(token(), audience=["old-name", AUDIENCE])).id == "ada"


async def test_token_with_audience_needs_a_configured_audience() -> None:
    """A service without a configured audience accepts only tokens without aud."""
    assert await rejection_reason(token(), audience=None) == "wrong audience"
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
async def test_claims_must_be_one_json_object(payload: bytes, reason: str) -> None:
    """Other JSON values, other encodings and too deep nesting are rejected."""
    assert await rejection_reason(signed(HEADER, payload)) == f"malformed claims: {reason}"


async def test_nested_token_is_rejected() -> None:
    """A nested JWT, which RFC 7519 allows, is not accepted as claims."""
    text = signed({**HEADER, "cty": "JWT"}, token().encode())
    assert await rejection_reason(text) == "malformed claims: not valid JSON in UTF-8"


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
        ({"scope": ["a", "b"]}, {"a", "b"}),
        ({"scope": ["a", "a b", ""], "scp": "c"}, {"a", "a b", "c"}),
        ({"scope": []}, set()),
        ({"scope": None}, set()),
        ({"scope": None, "scp": None}, set()),
        ({"scope": None, "scp": ["a"]}, {"a"}),
        ({"scope": "a\u00a0b"}, {"a\u00a0b"}),
        ({"scope": "a\tb\nc"}, {"a\tb\nc"}),
        ({"scp": "a\u00a0b\tc"}, {"a\u00a0b\tc"}),
        ({}, set()),
    ],
)
async def test_scopes_are_separated_by_spaces(claims: dict[str, Any], scopes: set[str]) -> None:
    """`scope` and `scp` are texts, arrays or null, and are merged; only spaces separate scopes."""
    text = token({**good_claims(scope=None), **claims})
    assert (await validated(text)).scopes == scopes


@pytest.mark.parametrize("claim", ["scope", "scp"])
@pytest.mark.parametrize("value", [5, 0, True, False, {"a": 1}, {}, ["a", 5], [["a"]], [None]])
async def test_malformed_scopes_are_rejected(claim: str, value: Any) -> None:
    """A scope claim that is not a string or a list of strings rejects the token."""
    reason = await rejection_reason(token({**good_claims(scope=None), claim: value}))
    assert reason.startswith(f"{claim} is not a string")


async def test_principal_claim_sets_the_principal_id() -> None:
    """The claim in principal_claim sets the id, and must be present and a valid subject."""
    rules = {"principal_claim": "client_id"}
    assert (await validated(token(good_claims(client_id="c-1")), **rules)).id == "c-1"
    assert await rejection_reason(token(), **rules) == "the principal claim is missing"
    assert await rejection_reason(token(good_claims(client_id=5)), **rules) == (
        "client_id is not a string of 1 to 255 printable characters"
    )
    assert await rejection_reason(token(good_claims(client_id="c-1", sub="a\nda")), **rules) == (
        "sub is not a string of 1 to 255 printable characters"
    )
