"""Contender "checked by PyJWT": new tokens again, each checked by PyJWT in an interceptor.

What a new token costs is held against this: one check, no cache, no rules beside those of PyJWT.
"""

from itertools import count
from typing import Final

import jwt

import typed
import with_auth
from harness import Call
from weenats import CallNext, NatsServiceBuilder, RequestContext, Response

Orders, OrdersClient = typed.under("bench-pyjwt")
PUBLIC_KEY: Final = with_auth.KEY.public_key()


async def check(context: RequestContext, call_next: CallNext) -> Response:
    """Check the token."""
    jwt.decode(
        context.token or "",
        PUBLIC_KEY,
        algorithms=["EdDSA"],
        audience=with_auth.AUDIENCE,
        issuer=with_auth.ISSUER,
    )
    return await call_next(context)


async def serve(url: str) -> None:
    """Serve callers whose tokens PyJWT takes."""
    await typed.serving(NatsServiceBuilder(Orders(), servers=url).with_interceptor(check))


async def connect(url: str) -> Call:
    """Call with a new token each time."""
    numbers = count()
    source = OrdersClient.connect(url, token=lambda: with_auth.new_token(next(numbers)))
    return await typed.calling(source)
