"""Property tests: arbitrary tokens are refused with InvalidTokenError and nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from testkit.tokens import FakeValidator, good_claims, signed, token
from weenats.auth import InvalidTokenError, Principal

JUDGE = FakeValidator()
GOOD = token()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)


def judged(text: str) -> Principal | None:
    """Return the principal of a token, None if it is refused; any other exception is an error."""
    try:
        return asyncio.run(JUDGE.validate(text))
    except InvalidTokenError:
        return None


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    """Arbitrary text is refused."""
    assert judged(text) is None


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_no_character_can_change(place: int, character: str) -> None:
    """A token with any one character changed is refused."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    assert (judged(changed) is None) == (changed != GOOD)


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"]), JSON))
def test_any_header_is_judged(header: dict[str, Any]) -> None:
    """A signed token with an arbitrary JSON header is refused or names its subject."""
    principal = judged(signed({"alg": "EdDSA", **header}, good_claims()))
    assert principal is None or principal.id == "ada"


@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "jti", "scope", "scp", "name"]),
        JSON,
    )
)
def test_any_claims_are_judged(claims: dict[str, Any]) -> None:
    """A signed token with arbitrary JSON claims is refused or has valid claims."""
    payload = {**good_claims(), **claims}
    principal = judged(signed({"alg": "EdDSA"}, json.dumps(payload).encode()))
    if principal is not None:
        assert principal.id == payload["sub"]
        assert principal.id.encode()
        assert principal.expires_at == payload["exp"]
        assert payload["iss"] == good_claims()["iss"]
        assert good_claims()["aud"] in payload["aud"]


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_bytes_are_refused(header: bytes, payload: bytes) -> None:
    """Signed segments of arbitrary bytes are refused."""
    assert judged(signed(header, payload)) is None
    assert judged(signed({"alg": "EdDSA"}, payload)) is None
