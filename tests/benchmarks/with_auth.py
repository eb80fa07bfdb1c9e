"""Contender "weenats, with_auth": every call carries the same EdDSA token, as callers do."""

from time import time
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import typed
from harness import Call
from weenats import JwtAuthConfig, NatsServiceBuilder

Orders, OrdersClient = typed.under("bench-auth")
AUDIENCE: Final = "bench"
ISSUER: Final = "https://issuer.example"
KEY: Final = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))  # both processes know it
CONFIG: Final = JwtAuthConfig(
    algorithms=["EdDSA"],
    public_key=KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    issuer=ISSUER,
    audience=AUDIENCE,
)


def new_token(number: int = 0) -> str:
    """Sign a token; another number is another token."""
    now = int(time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 3600}
    return jwt.encode({**claims, "jti": str(number)}, KEY, algorithm="EdDSA")


async def serve(url: str) -> None:
    """Serve callers who prove who they are."""
    await typed.serving(NatsServiceBuilder(Orders(), servers=url).with_auth(CONFIG))


async def connect(url: str) -> Call:
    """Call with one token."""
    return await typed.calling(OrdersClient.connect(url, token=new_token()))
