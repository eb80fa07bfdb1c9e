"""Attacks by what a well-signed token claims: times, texts, numbers, names given twice."""

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
    """Return why a token is refused."""
    judge = FakeValidator(**changes)
    with pytest.raises(InvalidTokenError) as raised:
        await judge.validate(text)
    assert judge.remembered == 0
    return raised.value.reason


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud"])
async def test_a_missing_claim_refuses(claim: str) -> None:
    """Without an end, a subject, an issuer or an audience a token proves nothing."""
    assert await refused(token(good_claims(**{claim: None}))) == f"the claim {claim} is missing"


@pytest.mark.parametrize("claim", ["exp", "sub", "iss", "aud", "iat", "jti"])
async def test_a_null_claim_refuses(claim: str) -> None:
    """A claim that is null is not there, or is malformed: it never passes for a value."""
    assert await refused(token({**good_claims(), claim: None})) in {
        f"the claim {claim} is missing",
        f"{claim} is no time",
        f"{claim} is no text",
        "wrong issuer",
    }


async def test_more_claims_can_be_required() -> None:
    """A configured claim must be there, whatever it is."""
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
    """At exp and the leeway after it is over, by our clock."""
    judge = FakeValidator(max_lifetime=None)
    judge.time.now = NOW + 600 + past
    if holds:
        assert (await judge.validate(token())).expires_at == NOW + 600
    else:
        with pytest.raises(InvalidTokenError) as raised:
            await judge.validate(token())
        assert raised.value.reason == "expired"


@pytest.mark.parametrize(
    ("claim", "reason"), [("nbf", "not valid yet (nbf)"), ("iat", "issued in the future (iat)")]
)
async def test_a_token_from_the_future_is_refused(claim: str, reason: str) -> None:
    """What holds or was issued later than the leeway from now is refused, up to it is taken."""
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
    """Texts, booleans, lists, negative and huge numbers are no times, under any rule."""
    text = token({**good_claims(), claim: value})
    assert await refused(text, max_lifetime=None) == f"{claim} is no time"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
@pytest.mark.parametrize("claim", ["exp", "nbf", "iat", "other"])
async def test_a_number_is_finite(claim: str, number: str) -> None:
    """What JSON does not have, or Python cannot hold, refuses the token wherever it stands."""
    claims = {name: value for name, value in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":{number}}}'.encode()
    reason = await refused(signed(HEADER, payload))
    assert reason.startswith("its claims are malformed: ")


async def test_a_time_may_have_a_fraction() -> None:
    """RFC 7519 lets times have fractions, and they count."""
    text = token(good_claims(exp=NOW + 0.5, iat=NOW - 0.5))
    judge = FakeValidator(leeway=0)
    assert (await judge.validate(text)).expires_at == NOW + 0.5
    judge.time.now = NOW + 0.5
    with pytest.raises(InvalidTokenError):
        await judge.validate(text)


@pytest.mark.parametrize("years", [2, 30, 100, 7000])
async def test_a_token_does_not_live_for_ever(years: int) -> None:
    """An exp in the far future is refused, issued now or at no named time."""
    far = NOW + years * 31_556_952
    assert await refused(token(good_claims(exp=far))) == "lives longer than max_lifetime"
    assert await refused(token(good_claims(exp=far, iat=None))) == "lives longer than max_lifetime"
    assert (await validated(token(good_claims(exp=far)), max_lifetime=None)).expires_at == far


async def test_lifetime_counts_from_the_issue() -> None:
    """A token that was made to live too long is refused to its last minute."""
    rules = {"max_lifetime": 3600, "leeway": 0}
    assert (await validated(token(good_claims(iat=NOW - 3000)), **rules)).id == "ada"
    text = token(good_claims(iat=NOW - 3001))
    assert await refused(text, **rules) == "lives longer than max_lifetime"
    apart = {"max_lifetime": 3600, "leeway": 30}
    assert (await validated(token(good_claims(iat=NOW - 3030)), **apart)).id == "ada"
    text = token(good_claims(iat=NOW - 3031))
    assert await refused(text, **apart) == "lives longer than max_lifetime"


async def test_the_first_and_the_last_second_are_times() -> None:
    """Of our era, which ends with the year 9999."""
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
    """A claim that is named twice, however it is spelt, is refused: readers differ."""
    text = signed(HEADER, json.dumps(good_claims()).encode()[:-1] + b"," + payload + b"}")
    assert await refused(text) == "its claims are malformed: a member is named twice"


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
    """Control characters, invisible ones, nothing, and too much name nobody."""
    assert await refused(token(good_claims(sub=value))) == (
        "sub is no text of 1 to 255 printable characters"
    )


@pytest.mark.parametrize("value", ["\\ud800", "a\\udfff", "\\udc00\\ud800"])
@pytest.mark.parametrize("claim", ["sub", "name", "scope"])
async def test_half_a_surrogate_pair_is_refused(claim: str, value: str) -> None:
    """What cannot be encoded, and would break whoever tries, is refused in every claim."""
    claims = {name: item for name, item in good_claims().items() if name != claim}
    payload = f'{json.dumps(claims)[:-1]},"{claim}":"{value}"}}'.encode()
    assert await refused(signed(HEADER, payload)) == "its claims are malformed: no JSON in UTF-8"


@pytest.mark.parametrize(
    "value", ["ada@example.org", "auth0|5", "Ada Lovelace", "\u00e9", "\U0001f600", "a" * 255]
)
async def test_a_subject_may_be_any_text(value: str) -> None:
    """What people call themselves is taken, whole pairs of surrogates among it."""
    assert (await validated(token(good_claims(sub=value)))).id == value


@pytest.mark.parametrize("value", [5, True, ["ada"], {"id": "ada"}, 0, 1.5])
@pytest.mark.parametrize("claim", ["sub", "jti"])
async def test_an_id_is_text(claim: str, value: Any) -> None:
    """Numbers, lists and objects are no ids."""
    assert await refused(token(good_claims(**{claim: value}))) == f"{claim} is no text"


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
    """Another case, a longer one, a part of it, and lists are other issuers."""
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
    """Another case, a part, a longer one, and what is no list of texts is meant for others."""
    assert await refused(token(good_claims(aud=value))) == "wrong audience"


@pytest.mark.parametrize("value", ["", []])
async def test_an_empty_audience_is_none(value: Any) -> None:
    """A token for nobody is refused."""
    assert await refused(token(good_claims(aud=value))) == "the claim aud is missing"


async def test_one_of_several_audiences_will_do() -> None:
    """A token may be for several, and a service may go by several names."""
    both = token(good_claims(aud=["billing", AUDIENCE]))
    assert (await validated(both)).id == "ada"
    assert (await validated(token(), audience=["old-name", AUDIENCE])).id == "ada"


async def test_without_an_audience_only_tokens_for_everybody_are_taken() -> None:
    """A service that does not say who it is takes no token that is meant for somebody."""
    assert await refused(token(), audience=None) == "wrong audience"
    assert (await validated(token(good_claims(aud=None)), audience=None)).id == "ada"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "no object"),
        (b'"ada"', "no object"),
        (b"null", "no object"),
        (b"5", "no object"),
        (b"\x00", "no JSON in UTF-8"),
        (b"{}{}", "no JSON in UTF-8"),
        (b"{'sub':'ada'}", "no JSON in UTF-8"),
        (b"\xff\xfe{\x00}\x00", "no JSON in UTF-8"),
        (b"\xef\xbb\xbf{}", "no JSON in UTF-8"),
        (b'{"sub":"\xc0\xaf"}', "no JSON in UTF-8"),
        (b'{"x":' + b"[" * 2500 + b"]" * 2500 + b"}", "nested too deeply"),
        (b'{"x":' * 900 + b"1" + b"}" * 900, "nested too deeply"),
        (b"[" * 6000, "nested too deeply"),
    ],
)
async def test_claims_are_one_json_object(payload: bytes, reason: str) -> None:
    """Other JSON, other encodings and nesting without end are refused."""
    assert await refused(signed(HEADER, payload)) == f"its claims are malformed: {reason}"


async def test_a_token_in_a_token_is_refused() -> None:
    """A nested token, which RFC 7519 allows, is no claims."""
    text = signed({**HEADER, "cty": "JWT"}, token().encode())
    assert await refused(text) == "its claims are malformed: no JSON in UTF-8"


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
    """`scope` and `scp` add up; no other white space makes two scopes of one."""
    text = token({**good_claims(scope=None), **claims})
    assert (await validated(text)).scopes == scopes


@pytest.mark.parametrize("claim", ["scope", "scp"])
@pytest.mark.parametrize("value", [5, True, {"a": 1}, ["a", 5], [["a"]], [None]])
async def test_malformed_scopes_refuse(claim: str, value: Any) -> None:
    """What is no list of scopes grants none and refuses the token."""
    reason = await refused(token({**good_claims(scope=None), claim: value}))
    assert reason.startswith(f"{claim} is no text")


async def test_another_claim_may_name_the_principal() -> None:
    """The configured claim names who it is, and must be there in the shape of a subject."""
    rules = {"principal_claim": "client_id"}
    assert (await validated(token(good_claims(client_id="c-1")), **rules)).id == "c-1"
    assert await refused(token(), **rules) == "the claim that names the principal is missing"
    assert await refused(token(good_claims(client_id=5)), **rules) == (
        "client_id is no text of 1 to 255 printable characters"
    )
    assert await refused(token(good_claims(client_id="c-1", sub="a\nda")), **rules) == (
        "sub is no text of 1 to 255 printable characters"
    )
