"""Files of credentials: good ones, broken ones, hostile ones."""

from __future__ import annotations

import base64
from pathlib import Path

import nkeys
import pytest

from testkit.nats_accounts import Account, KeyPair
from weenats.transport.credentials import CredentialsError, Identity, credentials_in, nkey_in

USER = KeyPair()
CREDENTIALS = Account().credentials(USER)
JWT = CREDENTIALS.splitlines()[1]


def verify(identity: Identity) -> None:
    """Check that what it signs is signed by its key."""
    pair = nkeys.from_seed(bytearray(USER.seed.encode()))
    assert identity.public_key == USER.public
    assert pair.verify(b"nonce", base64.b64decode(identity.sign("nonce")))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\n\n"])
def test_a_creds_file(tmp_path: Path, ending: str) -> None:
    """The JWT and a signature of its seed; line ends are anybody's."""
    (tmp_path / "clerk.creds").write_bytes(CREDENTIALS.replace("\n", ending).encode())
    identity = credentials_in(tmp_path / "clerk.creds")
    verify(identity)
    assert identity.jwt == JWT.encode()
    assert JWT not in repr(identity)


def test_a_seed_file(tmp_path: Path) -> None:
    """A signature of the seed, whatever space is around it."""
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
def test_what_is_no_credentials(tmp_path: Path, content: bytes, read: type[Identity]) -> None:
    """It is told with the file and without what stands in it; nothing loops, nothing is signed."""
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(CredentialsError, match="broken does not contain") as told:
        read(tmp_path / "broken")
    assert USER.seed not in str(told.value)


@pytest.mark.parametrize("read", [credentials_in, nkey_in])
@pytest.mark.parametrize("path", ["nothing", "."])
def test_what_cannot_be_read(tmp_path: Path, path: str, read: type[Identity]) -> None:
    """A missing file and a folder are told as what they are."""
    with pytest.raises(CredentialsError, match=r"cannot be read: (No such file|Is a directory)"):
        read(tmp_path / path)
