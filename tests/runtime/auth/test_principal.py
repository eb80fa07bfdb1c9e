"""Principal: read-only at every depth, and not shown by repr."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.tokens import FakeValidator, good_claims, token, validated
from weenats import AuthRequirement, Principal


async def test_a_principal_is_what_the_token_says() -> None:
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


def test_repr_shows_nothing() -> None:
    """A repr shows no attributes, alone, in a list or in a context."""
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
    """Claims are read-only at every depth, since requests share the principal."""
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
    """Later changes of the claims passed to the constructor have no effect."""
    claims: dict[str, Any] = {"roles": ["reader"]}
    principal = Principal(id="ada", claims=claims)
    claims["roles"].append("admin")
    claims["sub"] = "eve"
    assert dict(principal.claims) == {"roles": ("reader",)}
    assert len({principal, Principal(id="ada", claims={})}) == 2


def test_a_principal_goes_along_with_the_context() -> None:
    """A context has no principal by default, and copies keep it."""
    principal = Principal(id="ada")
    assert make_context().principal is None
    assert make_context(principal=principal).replace(key="k-2").principal is principal


@pytest.mark.parametrize("scope", ["", "a b", "a\n", 'a"', "a\\", "\u00e9", "a\x00"])
def test_a_scope_that_no_token_can_grant_is_refused(scope: str) -> None:
    """A scope that RFC 6749 does not allow is refused."""
    with pytest.raises(ValueError, match="is not a valid scope"):
        AuthRequirement(scopes=("receipts:write", scope))


def test_scopes_need_a_token() -> None:
    """Scopes cannot be combined with `required=False`."""
    with pytest.raises(ValueError, match="scopes require a token"):
        AuthRequirement(required=False, scopes=("receipts:write",))
    assert AuthRequirement().required
    assert AuthRequirement(scopes=("receipts:write", "a!#[]~")).required
