"""Property tests of the JWT validator with random tokens."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
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


def principal_of(text: str) -> Principal | None:
    """Return the principal of a token, or None if it is rejected; other errors propagate."""
    try:
        return asyncio.run(JUDGE.validate(text))
    except InvalidTokenError:
        return None


@pytest.mark.slow
@given(st.text(max_size=200))
def test_random_text_is_rejected(text: str) -> None:
    """Random text is rejected without any other error."""
    assert principal_of(text) is None


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_any_changed_character_is_rejected(place: int, character: str) -> None:
    """A valid token with any one character changed is rejected."""
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    assert (principal_of(changed) is None) == (changed != GOOD)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"]), JSON))
def test_random_signed_header_is_handled(header: dict[str, Any]) -> None:
    """A signed header of any JSON is rejected or gives the right principal."""
    principal = principal_of(signed({"alg": "EdDSA", **header}, good_claims()))
    assert principal is None or principal.id == "ada"


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat", "aud", "iss", "sub", "jti", "scope", "scp", "name"]),
        JSON,
    )
)
def test_random_signed_claims_are_handled(claims: dict[str, Any]) -> None:
    """Signed claims of any JSON are rejected or satisfy all rules."""
    payload = {**good_claims(), **claims}
    principal = principal_of(signed({"alg": "EdDSA"}, json.dumps(payload).encode()))
    if principal is not None:
        assert principal.id == payload["sub"]
        assert principal.id.encode()
        assert principal.expires_at == payload["exp"]
        assert payload["iss"] == good_claims()["iss"]
        assert good_claims()["aud"] in payload["aud"]


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_random_signed_bytes_are_rejected(header: bytes, payload: bytes) -> None:
    """Signed segments of random bytes are rejected without any other error."""
    assert principal_of(signed(header, payload)) is None
    assert principal_of(signed({"alg": "EdDSA"}, payload)) is None
