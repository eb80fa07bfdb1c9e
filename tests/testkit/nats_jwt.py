"""Operators, accounts and users of NATS, and the JWTs that name them."""

from __future__ import annotations

import json
from base64 import b32encode, urlsafe_b64encode
from binascii import crc_hqx
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIXES: Final = {"operator": 14 << 3, "account": 0, "user": 20 << 3}
_UNLIMITED: Final = {"subs": -1, "data": -1, "payload": -1}


class Identity:
    """An operator, an account or a user, with its key."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._key = Ed25519PrivateKey.generate()
        body = bytes([_PREFIXES[kind]]) + self._key.public_key().public_bytes_raw()
        self.name = b32encode(body + crc_hqx(body, 0).to_bytes(2, "little")).decode().rstrip("=")

    def sign(self, data: str) -> str:
        """Return the signature of a text."""
        return _encoded(self._key.sign(data.encode()))


class Tenant:
    """An operator with one account, and a system account for JetStream."""

    def __init__(self) -> None:
        self._operator = Identity("operator")
        self._account = Identity("account")
        self._system = Identity("account")

    @property
    def config(self) -> str:
        """The configuration of a server of this operator."""
        limits = {**_UNLIMITED, "imports": -1, "exports": -1, "wildcards": True, "conn": -1}
        operator = _issued(self._operator, self._operator, {"system_account": self._system.name})
        accounts = [
            f'{each.name}: "{_issued(self._operator, each, {"limits": limits})}"'
            for each in (self._account, self._system)
        ]
        return (
            f'operator: "{operator}"\nresolver: MEMORY\nsystem_account: {self._system.name}\n'
            f"resolver_preload: {{{', '.join(accounts)}}}\n"
        )

    def user_jwt(self, user: Identity, permissions: Mapping[str, object]) -> str:
        """Return the JWT of a user with these permissions."""
        return _issued(self._account, user, {**_UNLIMITED, **permissions})


def _issued(issuer: Identity, subject: Identity, claims: Mapping[str, Any]) -> str:
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": subject.name,
        "iat": 1,
        "iss": issuer.name,
        "sub": subject.name,
        "nats": {**claims, "type": subject.kind, "version": 2},
    }
    text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, body))
    return f"{text}.{issuer.sign(text)}"


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
