"""The principal is immutable at every depth, and its repr shows nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.tokens import FakeValidator, good_claims, token, validated
from weenats import AuthRequirement, Principal


async def test_principal_is_built_from_the_claims() -> None:
    """Id, issuer, scopes, claims and expiry come from the token."""
    claims = good_claims(tenant="north")
    principal = await validated(token(claims))
    assert principal == Principal(
        id="ada",
        issuer=claims["iss"],
        scopes=frozenset({"receipts:read", "receipts:write"}),
        claims=claims,
        expires_at=claims["exp"],
    )


def test_repr_hides_all_fields() -> None:
    """A principal that is logged by accident, alone or in a context, shows nothing."""
    principal = Principal(
        id="ada",
        issuer="https://issuer.example",
        scopes=frozenset({"s3cret"}),
        claims={"email": "ada@example.org"},
    )
    for shown in (repr(principal), str(principal), f"{principal}", repr([principal])):
        assert shown.strip("[]") == "Principal(...)"
    assert "ada" not in repr(make_context(principal=principal))


async def test_principal_is_immutable_at_every_depth() -> None:
    """Requests with one token share one principal, so no handler can change it."""
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


def test_principal_copies_its_claims() -> None:
    """Later changes of the dictionary passed as claims have no effect."""
    claims: dict[str, Any] = {"roles": ["reader"]}
    principal = Principal(id="ada", claims=claims)
    claims["roles"].append("admin")
    claims["sub"] = "eve"
    assert dict(principal.claims) == {"roles": ("reader",)}
    assert len({principal, Principal(id="ada", claims={})}) == 2


def test_context_carries_the_principal() -> None:
    """A context has no principal until authentication; copies keep it."""
    principal = Principal(id="ada")
    assert make_context().principal is None
    assert make_context(principal=principal).replace(key="k-2").principal is principal


@pytest.mark.parametrize("scope", ["", "a b", "a\n", 'a"', "a\\", "\u00e9", "a\x00"])
def test_invalid_scope_is_rejected(scope: str) -> None:
    """A scope that RFC 6749 does not allow is rejected."""
    with pytest.raises(ValueError, match="is not a valid scope"):
        AuthRequirement(scopes=("receipts:write", scope))


def test_scopes_require_a_token() -> None:
    """Scopes cannot be combined with required=False."""
    with pytest.raises(ValueError, match="scopes require a token"):
        AuthRequirement(required=False, scopes=("receipts:write",))
    assert AuthRequirement().required
    assert AuthRequirement(scopes=("receipts:write", "a!#[]~")).required
