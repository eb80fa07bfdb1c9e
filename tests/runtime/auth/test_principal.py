"""Who calls: read-only at every depth, and shown to nobody."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.tokens import FakeValidator, good_claims, token, validated
from weenats import AuthRequirement, Principal


async def test_a_principal_is_what_the_token_says() -> None:
    """Id, issuer, scopes, claims and expiry come from the claims."""
    claims = good_claims(tenant="north")
    principal = await validated(token(claims))
    assert principal == Principal(
        id="ada",
        issuer=claims["iss"],
        scopes=frozenset({"receipts:read", "receipts:write"}),
        claims=claims,
        expires_at=claims["exp"],
    )


def test_repr_shows_nothing() -> None:
    """A principal can be logged by mistake, alone, in a list and in a context."""
    principal = Principal(
        id="ada",
        issuer="https://issuer.example",
        scopes=frozenset({"s3cret"}),
        claims={"email": "ada@example.org"},
    )
    for shown in (repr(principal), str(principal), f"{principal}", repr([principal])):
        assert shown.strip("[]") == "Principal(...)"
    assert "ada" not in repr(make_context(principal=principal))


async def test_a_handler_cannot_change_what_others_see() -> None:
    """Claims are read-only at every depth: requests with one token share one principal."""
    judge = FakeValidator()
    text = token(good_claims(groups=["a", {"b": ["c"]}], realm={"roles": ["reader"]}))
    claims: Any = (await judge.validate(text)).claims
    with pytest.raises(TypeError):
        claims["sub"] = "eve"
    with pytest.raises(TypeError):
        claims["realm"]["roles"] = ["admin"]
    with pytest.raises(AttributeError):
        claims["realm"]["roles"].append("admin")
    with pytest.raises(TypeError):
        claims["groups"][1]["b"] = []
    for name in ("id", "scopes", "claims", "expires_at"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(await judge.validate(text), name, "eve")
    assert (await judge.validate(text)).claims["realm"]["roles"] == ("reader",)


def test_a_principal_does_not_follow_its_maker() -> None:
    """What a custom validator does with its dictionary afterwards does not show."""
    claims: dict[str, Any] = {"roles": ["reader"]}
    principal = Principal(id="ada", claims=claims)
    claims["roles"].append("admin")
    claims["sub"] = "eve"
    assert dict(principal.claims) == {"roles": ("reader",)}
    assert len({principal, Principal(id="ada", claims={})}) == 2


def test_a_principal_goes_along_with_the_context() -> None:
    """A context has none until authentication puts it there; copies keep it."""
    principal = Principal(id="ada")
    assert make_context().principal is None
    assert make_context(principal=principal).replace(key="k-2").principal is principal


@pytest.mark.parametrize("scope", ["", "a b", "a\n", 'a"', "a\\", "\u00e9", "a\x00"])
def test_a_scope_that_no_token_can_grant_is_refused(scope: str) -> None:
    """A scope is what RFC 6749 says it is; the descriptor refuses others."""
    with pytest.raises(ValueError, match="is no scope"):
        AuthRequirement(scopes=("receipts:write", scope))


def test_scopes_need_a_token() -> None:
    """Who may come without a token cannot be asked for a scope."""
    with pytest.raises(ValueError, match="cannot stand beside"):
        AuthRequirement(required=False, scopes=("receipts:write",))
    assert AuthRequirement().required
    assert AuthRequirement(scopes=("receipts:write", "a!#[]~")).required
