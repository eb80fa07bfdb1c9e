"""Validation of the connection options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, ProbeSyncClient
from weenats import ConnectionOptions, InvalidArgumentError, NatsServiceBuilder, NatsTransport

SIGNED = [{"credentials": "clerk.creds"}, {"nkey_seed": "clerk.nk"}]
USER = {"user": "clerk", "password": "x"}


@pytest.mark.parametrize("given", SIGNED)
def test_missing_nkeys_package_is_reported(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    """The error names the extra to install; other credentials do not need it."""
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
def test_conflicting_credentials_are_rejected(given: dict[str, Any]) -> None:
    """Incomplete and conflicting credentials are not silently ignored."""
    with pytest.raises(InvalidArgumentError):
        ConnectionOptions(**given)


@pytest.mark.parametrize("given", SIGNED)
def test_auth_token_can_be_combined_with_signed_credentials(given: dict[str, Any]) -> None:
    """An authorization service behind NATS may need both."""
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
def test_secret_in_place_of_a_path_is_rejected(name: str, secret: str) -> None:
    """The error says that a path is expected, and does not show the secret."""
    given: dict[str, Any] = {name: secret}
    with pytest.raises(InvalidArgumentError, match=f"{name} is the path of a file") as refused:
        ConnectionOptions(**given)
    assert not any(line in str(refused.value) for line in secret.split())


@pytest.mark.parametrize("path", ["clerk.nk", Path("/run/S3CRETS/clerk.creds"), SEED.lower()])
def test_file_paths_are_accepted(path: str | Path) -> None:
    """Any file name is accepted, as str and as Path."""
    assert ConnectionOptions(nkey_seed=path).nkey_seed == path


@pytest.mark.parametrize("tls", ["ca.pem", True, Path("ca.pem")])
def test_path_as_tls_option_is_rejected(tls: Any) -> None:
    """The error shows how to create an SSL context from a certificate file."""
    with pytest.raises(InvalidArgumentError, match=r"ssl\.create_default_context\(cafile=\.\.\.\)"):
        ConnectionOptions(tls=tls)


@pytest.mark.parametrize(
    "prefix",
    ["", "a b", "a..b", "a.>", "a\r\nPUB x 0\r\n", "$JS", "orders.events.inbox", "orders.stream"],
)
def test_malformed_inbox_prefix_is_rejected(prefix: str) -> None:
    """The prefix of reply subjects is checked when it is written, not when it is sent."""
    with pytest.raises(InvalidArgumentError, match="inbox_prefix: "):
        ConnectionOptions(inbox_prefix=prefix)


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("name", b"S3CRET"),
        ("user", 5),
        ("password", b"S3CRET"),
        ("password", lambda: "S3CRET"),
        ("auth_token", ["S3CRET"]),
        ("credentials", 0),  # the standard input
        ("nkey_seed", b"S3CRET"),
        ("tls_handshake_first", "no"),
        ("inbox_prefix", None),
        ("connect_timeout", "5"),
        ("ping_interval", True),
    ],
)
def test_options_of_wrong_types_are_rejected(name: str, given: Any) -> None:
    """They fail where they are written, and not when connecting; the error shows no value."""
    options = {"user": "clerk", "password": "x"} if name in {"user", "password"} else {}
    with pytest.raises(InvalidArgumentError, match=name) as refused:
        ConnectionOptions(**{**options, name: given})
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda options: NatsTransport("nats://localhost", options),
        lambda options: ProbeClient.connect(connection=options),
        lambda options: NatsServiceBuilder(Probe(), connection=options),
    ],
)
@pytest.mark.parametrize("options", [{"password": "S3CRET"}, 0, ConnectionOptions])
def test_something_else_than_options_is_rejected(make: Any, options: Any) -> None:
    """Options of another type are refused, false ones too; the error shows no value."""
    with pytest.raises(TypeError, match="must be ConnectionOptions, not ") as refused:
        make(options)
    assert "S3CRET" not in str(refused.value)


@pytest.mark.parametrize("transport", [5, object(), ProbeClient])
def test_something_else_than_a_transport_is_rejected(transport: Any) -> None:
    """Clients and services say so when they are made."""
    with pytest.raises(TypeError, match="transport, such as NatsTransport"):
        ProbeClient(transport)
    with pytest.raises(TypeError, match="transport, such as NatsTransport"):
        ProbeSyncClient(transport)
    with pytest.raises(TypeError, match="transport, such as NatsTransport"):
        NatsServiceBuilder(Probe(), transport=transport)


@pytest.mark.parametrize("given", [255, 4096.0, True, "4096"])
def test_limit_of_lines_is_checked(given: Any) -> None:
    """It is an integer that leaves room for the line with which a client connects."""
    with pytest.raises(InvalidArgumentError, match="an integer of at least 256"):
        ConnectionOptions(max_control_line=given)


@pytest.mark.parametrize("given", [0, -1, 1e6, True, "1048576"])
def test_limit_of_messages_is_checked(given: Any) -> None:
    """It is an integer: that of an account without a limit is None."""
    with pytest.raises(InvalidArgumentError, match="max_payload is an integer"):
        ConnectionOptions(max_payload=given)
