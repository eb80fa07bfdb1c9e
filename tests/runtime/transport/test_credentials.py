"""Credentials files: valid, broken and hostile ones."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import nkeys
import pytest

from testkit.nats_accounts import Account, KeyPair
from weenats.transport.credentials import CredentialsError, Identity, credentials_in, nkey_in

USER = KeyPair()
CREDENTIALS = Account().credentials(USER)
JWT = CREDENTIALS.splitlines()[1]


def verify(identity: Identity) -> None:
    """Check the key and a signature of an identity."""
    pair = nkeys.from_seed(bytearray(USER.seed.encode()))
    assert identity.public_key == USER.public
    assert pair.verify(b"nonce", base64.b64decode(identity.sign("nonce")))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_creds_file_gives_jwt_and_signature(tmp_path: Path, ending: str) -> None:
    """Any line ending is accepted, and repr hides the JWT."""
    (tmp_path / "clerk.creds").write_bytes(CREDENTIALS.replace("\n", ending).encode())
    identity = credentials_in(tmp_path / "clerk.creds")
    verify(identity)
    assert identity.jwt == JWT.encode()
    assert JWT not in repr(identity)


def test_seed_file_gives_a_signature(tmp_path: Path) -> None:
    """Whitespace around the seed is ignored."""
    (tmp_path / "clerk.nk").write_text(f" {USER.seed}\n\n")
    identity = nkey_in(str(tmp_path / "clerk.nk"))
    verify(identity)
    assert identity.jwt is None


@pytest.mark.parametrize("read", [credentials_in, nkey_in])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"SUA",
        b"hello world",
        USER.seed[:-20].encode(),
        USER.public.encode(),
        CREDENTIALS[: CREDENTIALS.index("USER NKEY")].encode(),
        CREDENTIALS[CREDENTIALS.index("IMPORTANT") :].encode(),
        CREDENTIALS.replace(USER.seed, "").encode(),
        CREDENTIALS.replace(USER.seed, "SUAAAA").encode(),
        CREDENTIALS.replace("-", "").encode(),
    ],
    ids=range(11),
)
def test_invalid_credentials_file_is_rejected(
    tmp_path: Path, content: bytes, read: type[Identity]
) -> None:
    """The error names the file, without its content."""
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(CredentialsError, match="broken does not contain") as told:
        read(tmp_path / "broken")
    assert USER.seed not in str(told.value)


@pytest.mark.parametrize("read", [credentials_in, nkey_in])
@pytest.mark.parametrize("path", ["nothing", "."])
def test_unreadable_credentials_file_is_reported(
    tmp_path: Path, path: str, read: type[Identity]
) -> None:
    """The error says that the file is missing or a directory."""
    with pytest.raises(CredentialsError, match=r"cannot be read: (No such file|Is a directory)"):
        read(tmp_path / path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_pipe_without_a_writer_is_empty(tmp_path: Path) -> None:
    """A named pipe that nothing writes to does not block the event loop."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialsError, match="does not contain a user JWT"):
        credentials_in(tmp_path / "pipe")
