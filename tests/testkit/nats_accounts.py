"""Operators, accounts and users of NATS: nkeys, JWTs (version 2) and .creds files."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from time import time
from typing import Any, Final

import nkeys

from testkit.tokens import encoded

_NO_LIMITS: Final = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    "wildcards": True,
}
_CREDENTIALS: Final = """\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

************************* IMPORTANT *************************
NKEY Seed printed below can be used to sign and prove identity.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


class KeyPair:
    """A new key pair; `prefix` is the kind of its owner."""

    def __init__(self, prefix: int = nkeys.PREFIX_BYTE_USER) -> None:
        seed = nkeys.encode_seed(os.urandom(32), prefix)
        self._pair = nkeys.from_seed(bytearray(seed))
        self.seed: str = seed.decode()
        self.public: str = self._pair.public_key.decode()

    def jwt(self, subject: str, name: str, nats: Mapping[str, Any], **claims: Any) -> str:
        """Return a JWT about a subject, signed by this key."""
        said = {
            "jti": base64.b32encode(os.urandom(32)).decode().rstrip("="),
            "iat": int(time()),
            "iss": self.public,
            "name": name,
            "sub": subject,
            "nats": {**nats, "version": 2},
            **claims,
        }
        text = f"{encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{encoded(said)}"
        return f"{text}.{encoded(self._pair.sign(text.encode()))}"


class Account:
    """An operator with one account; a server with `config` accepts its users."""

    def __init__(self) -> None:
        operator = KeyPair(nkeys.PREFIX_BYTE_OPERATOR)
        self._key = KeyPair(nkeys.PREFIX_BYTE_ACCOUNT)
        of_account = operator.jwt(
            self._key.public, "shop", {"type": "account", "limits": _NO_LIMITS}
        )
        self.config = (
            f"operator: {operator.jwt(operator.public, 'house', {'type': 'operator'})}\n"
            "resolver: MEMORY\n"
            f"resolver_preload: {{ {self._key.public}: {of_account} }}\n"
        )

    def credentials(self, user: KeyPair | None = None, **claims: Any) -> str:
        """Return the text of a .creds file; the claim `exp` is its expiry."""
        user = user or KeyPair()
        unlimited = {"subs": -1, "data": -1, "payload": -1, "pub": {}, "sub": {}}
        jwt = self._key.jwt(user.public, "clerk", {"type": "user", **unlimited}, **claims)
        return _CREDENTIALS.format(jwt=jwt, seed=user.seed)
