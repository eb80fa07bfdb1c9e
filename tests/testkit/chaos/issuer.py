"""An issuer of tokens on loopback, which rotates its key, issues bad tokens and goes away."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from testkit.http_server import HttpServer, answer
from testkit.tokens import AUDIENCE, ISSUER, jwk, token

Mode = Literal["good", "short-lived", "expired", "unavailable"]
"""Issues tokens for ten minutes, for two seconds, or expired ones; or answers with 503."""

LIFETIME: Final[dict[Mode, int]] = {
    "good": 600,
    "short-lived": 2,
    "expired": -120,
    "unavailable": 600,
}


class Issuer:
    """Publishes its current key at `keys_uri`, and issues tokens to everyone."""

    def __init__(self) -> None:
        self.mode: Mode = "good"
        self._serial = 0
        self.rotate()
        self._server = HttpServer()
        self._server.behaviour = self._behave
        self.keys_uri = self._server.uri
        self.tokens_uri = self._server.uri.removesuffix("/keys") + "/token/"

    def rotate(self) -> None:
        """Sign with a new key; the old one is no longer published."""
        self._serial += 1
        self._signing = (f"k-{self._serial}", Ed25519PrivateKey.generate())

    def close(self) -> None:
        """Stop the server."""
        self._server.stop()

    def token(self, subject: str = "ada") -> str:
        """Return a token of the current mode."""
        kid, key = self._signing
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now - 600,
            "exp": now + LIFETIME[self.mode],
        }
        return token(claims, key=key, kid=kid)

    def _behave(self, handler: BaseHTTPRequestHandler) -> None:
        if self.mode == "unavailable":
            answer(b"", 503)(handler)
        elif handler.path == "/keys":
            kid, key = self._signing
            published = {"keys": [jwk(key, kid=kid, alg="EdDSA", use="sig")]}
            answer(json.dumps(published).encode())(handler)
        else:
            answer(self.token(handler.path.rpartition("/")[2]).encode())(handler)
