"""An issuer of tokens on loopback, which rotates its key, hurries, errs and goes away."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from testkit.http_server import HttpServer, answer
from testkit.tokens import AUDIENCE, ISSUER, jwk, token

Mood = Literal["good", "hurried", "late", "gone"]
"""Issues tokens that last; that last two seconds; that have expired already; or answers nobody."""

LIFETIME: Final[dict[Mood, int]] = {"good": 600, "hurried": 2, "late": -120, "gone": 600}


class Issuer:
    """Publishes the one key that is valid at `keys_uri`, and gives everybody a token."""

    def __init__(self) -> None:
        self.mood: Mood = "good"
        self._serial = 0
        self.rotate()
        self._server = HttpServer()
        self._server.behaviour = self._behave
        self.keys_uri = self._server.uri
        self.tokens_uri = self._server.uri.removesuffix("/keys") + "/token/"

    def rotate(self) -> None:
        """Sign with a new key; the old one is published no more."""
        self._serial += 1
        self._signing = (f"k-{self._serial}", Ed25519PrivateKey.generate())

    def close(self) -> None:
        """End it."""
        self._server.stop()

    def token(self, subject: str = "ada") -> str:
        """Return a token, as its mood has it."""
        kid, key = self._signing
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now - 600,
            "exp": now + LIFETIME[self.mood],
        }
        return token(claims, key=key, kid=kid)

    def _behave(self, handler: BaseHTTPRequestHandler) -> None:
        if self.mood == "gone":
            answer(b"", 503)(handler)
        elif handler.path == "/keys":
            kid, key = self._signing
            published = {"keys": [jwk(key, kid=kid, alg="EdDSA", use="sig")]}
            answer(json.dumps(published).encode())(handler)
        else:
            answer(self.token(handler.path.rpartition("/")[2]).encode())(handler)
