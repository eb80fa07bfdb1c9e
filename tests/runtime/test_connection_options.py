"""What is refused when it is written down."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from weenats import ConnectionOptions, InvalidArgumentError

SIGNED = [{"credentials": "clerk.creds"}, {"nkey_seed": "clerk.nk"}]
USER = {"user": "clerk", "password": "x"}


@pytest.mark.parametrize("given", SIGNED)
def test_missing_nkeys_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    """With the extra to install; other credentials do not need it."""
    monkeypatch.setitem(sys.modules, "nkeys", None)
    with pytest.raises(ImportError, match=r"package nkeys: pip install 'weenats\[nkeys\]'"):
        ConnectionOptions(**given)
    ConnectionOptions(**USER)
    ConnectionOptions(auth_token="x")


@pytest.mark.parametrize(
    "given",
    [
        {"user": "clerk"},
        {"password": "x"},
        {**USER, "auth_token": "x"},
        {**SIGNED[0], **SIGNED[1]},
        {**SIGNED[0], **USER},
        {**SIGNED[1], **USER},
    ],
    ids="+".join,
)
def test_credentials_that_contradict_each_other(given: dict[str, Any]) -> None:
    """Nothing that is given is passed over in silence."""
    with pytest.raises(InvalidArgumentError):
        ConnectionOptions(**given)


@pytest.mark.parametrize("given", SIGNED)
def test_a_token_beside_what_is_signed(given: dict[str, Any]) -> None:
    """Both are sent: an authorization service behind NATS may ask for them."""
    assert "x" not in repr(ConnectionOptions(auth_token="x", **given))
