"""Credentials in files: .creds files and nkey seeds.

The files are read for each attempt to connect, so that renewed credentials are used from the next
one on. nats-py's own reader never returns from a file without a JWT.
"""

import base64
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

__all__ = ["CredentialsError", "Identity", "credentials_in", "is_secret", "nkey_in"]
_JWT: Final = rb"-BEGIN NATS USER JWT-+\s+([\w.=-]+)\s+-+END"
_SEED: Final = rb"-BEGIN USER NKEY SEED-+\s+(\w+)\s+-+END"
_SEED_TEXT: Final = r"\s*S[A-Z2-7]{57}\s*"


class CredentialsError(OSError):
    """A file of credentials cannot be used; an OSError, after which nats-py tries again."""


@dataclass(slots=True, eq=False, repr=False)
class Identity:
    """The identity of a connection; `repr` shows nothing of it.

    Attributes:
        public_key: the public nkey.
        jwt: the user JWT, None where the server knows the nkey.
        sign: signs the nonce of the server.
    """

    public_key: str
    jwt: bytes | None
    sign: Callable[[str], bytes]


def is_secret(path: str | Path) -> bool:
    """Return whether a path is in fact the content of a file of credentials.

    Args:
        path: the path.
    """
    return "-BEGIN " in str(path) or re.fullmatch(_SEED_TEXT, str(path)) is not None


def credentials_in(path: str | Path) -> Identity:
    """Read a .creds file.

    Args:
        path: the path of the file.

    Raises:
        CredentialsError: it cannot be read, or does not contain a JWT and a seed.
    """
    content = _content(path)
    jwt, seed = re.search(_JWT, content), re.search(_SEED, content)
    if jwt is None or seed is None:
        raise CredentialsError(f"{path} does not contain a user JWT and its nkey seed")
    return _identity(seed[1], jwt[1], path)


def nkey_in(path: str | Path) -> Identity:
    """Read a file with an nkey seed.

    Args:
        path: the path of the file.

    Raises:
        CredentialsError: it cannot be read, or does not contain a seed.
    """
    return _identity(_content(path).strip(), None, path)


def _content(path: str | Path) -> bytes:
    try:
        with open(path, "rb", opener=_open) as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        reason = error.strerror if isinstance(error, OSError) else error
        raise CredentialsError(f"{path} cannot be read: {reason}") from None


def _open(path: str, flags: int) -> int:
    """Open a file; a named pipe without a writer is empty and does not block the event loop."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    return descriptor


def _identity(seed: bytes, jwt: bytes | None, path: str | Path) -> Identity:
    nkeys: Any = import_module("nkeys")  # an extra, without types
    try:
        pair = nkeys.from_seed(bytearray(seed))
        public_key: str = pair.public_key.decode()
    except Exception:  # noqa: BLE001 - nkeys raises many kinds of errors
        raise CredentialsError(f"{path} does not contain an nkey seed") from None
    return Identity(public_key, jwt, lambda nonce: base64.b64encode(pair.sign(nonce.encode())))
