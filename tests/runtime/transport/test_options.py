"""What is refused when it is written down."""

from __future__ import annotations

import sys
from pathlib import Path
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


SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("nkey_seed", SEED),
        ("nkey_seed", f" {SEED}\n"),
        ("nkey_seed", f"-----BEGIN USER NKEY SEED-----\n{SEED}\n"),
        ("credentials", SEED),
        ("credentials", "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n"),
    ],
)
def test_secrets_in_place_of_their_file_are_refused_and_not_shown(name: str, secret: str) -> None:
    """What would be told as the path of a file that cannot be read is no path."""
    given: dict[str, Any] = {name: secret}
    with pytest.raises(InvalidArgumentError, match=f"{name} is the path of a file") as refused:
        ConnectionOptions(**given)
    assert not any(line in str(refused.value) for line in secret.split())


@pytest.mark.parametrize("path", ["clerk.nk", Path("/run/S3CRETS/clerk.creds"), SEED.lower()])
def test_paths_are_no_secrets(path: str | Path) -> None:
    """Whatever a file is called, as text and as Path."""
    assert ConnectionOptions(nkey_seed=path).nkey_seed == path


@pytest.mark.parametrize("tls", ["ca.pem", True, Path("ca.pem")])
def test_a_file_is_no_tls_context(tls: Any) -> None:
    """The error says how one is made of a file of certificates."""
    with pytest.raises(InvalidArgumentError, match=r"ssl\.create_default_context\(cafile=\.\.\.\)"):
        ConnectionOptions(tls=tls)
