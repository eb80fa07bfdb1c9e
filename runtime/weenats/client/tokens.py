"""The client's side: where the token of a call comes from, and how long one is kept."""

from __future__ import annotations

import asyncio
import binascii
import inspect
import json
import logging
import math
import time
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakSet

from weenats.errors import InvalidArgumentError, ServiceError, UnavailableError
from weenats.protocol.identifiers import check_token

if TYPE_CHECKING:
    from weenats.protocol.deadline import Clock
    from weenats.transport.base import Transport

TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token, or awaits one; it must not block."""
TokenSource = str | TokenProvider
"""A token, or what returns one for each call."""

_REFRESH_BEFORE: Final = 30.0
_REFRESH_SHARE: Final = 0.2
_RENEW_INTERVAL: Final = 1.0
_SEGMENTS: Final = 3
_LOG: Final = logging.getLogger("weenats.auth")
_exposed: Final[WeakSet[Transport]] = WeakSet()


class CachedToken:
    """A token source that keeps a token until shortly before it expires.

    One caller at a time asks the provider; the others wait for the same token. It is asked apart
    from the call that needs the token, so no caller's deadline ends it for the others.

    A call that is answered UNAUTHENTICATED renews the token and is sent once more. That happens
    at most once a second, so that a service that refuses everybody floods no issuer of tokens.

    Args:
        provider: returns a new token, sync or async. When it says in `exp` when it expires, it is
            replaced 30 seconds before that, or when four fifths of its time have passed if that
            is later. Without `exp` it is kept until a service refuses it.
        clock: the time in seconds since the epoch.
    """

    def __init__(self, provider: TokenProvider, *, clock: Clock = time.time) -> None:
        if not callable(provider):
            raise InvalidArgumentError("the provider of a CachedToken must be callable")
        self._provider = provider
        self._clock = clock
        self._token: str | None = None
        self._fresh_until = -math.inf
        self._renewed_at = -math.inf
        self._asking: asyncio.Task[str] | None = None

    def __repr__(self) -> str:
        return f"<CachedToken {'empty' if self._token is None else 'filled'}>"

    async def __call__(self) -> str:
        """Return the token, a new one when the old one is about to expire.

        Raises:
            UnavailableError: the provider failed.
        """
        if self._token is not None and self._clock() < self._fresh_until:
            return self._token
        return await asyncio.shield(self._ask())

    async def renew(self, refused: str) -> str | None:
        """Return another token in place of one that a service refused; None when there is none.

        Raises:
            UnavailableError: the provider failed.
        """
        if self._token == refused:
            now = self._clock()
            if 0 <= now - self._renewed_at < _RENEW_INTERVAL:
                return None
            self._renewed_at = now
            self.invalidate()
        token = await self()
        return None if token == refused else token

    def invalidate(self, token: str | None = None) -> None:
        """Forget the token, or only this one: the next call asks for a new one."""
        if token is None or token == self._token:
            self._token = None

    def _ask(self) -> asyncio.Task[str]:
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
            # What the provider does belongs to no caller: not to its deadline, not to its trace.
            self._asking = loop.create_task(self._refresh(), context=Context())
            self._asking.add_done_callback(_retrieve)
        return self._asking

    async def _refresh(self) -> str:
        token = await ask(self._provider)
        expires_at = expiry(token)
        margin = min(_REFRESH_BEFORE, (expires_at - self._clock()) * _REFRESH_SHARE)
        self._fresh_until = expires_at - margin
        self._token = token
        return token


async def ask(provider: TokenProvider) -> str:
    """Return the token that a provider gives.

    Raises:
        ServiceError: the provider raised it.
        UnavailableError: the provider failed otherwise, or returned no token.
    """
    try:
        given = provider()
        token = cast("object", await given if inspect.isawaitable(given) else given)
    except ServiceError:
        raise
    except Exception as error:
        raise UnavailableError("there is no token for the call: its source failed") from error
    if not isinstance(token, str) or not token:
        raise UnavailableError("there is no token for the call: its source returned none")
    return token


def check_source(source: TokenSource) -> TokenSource:
    """Return a token, or what returns one.

    Raises:
        InvalidArgumentError: it is neither, or an empty token; the text shows nothing of it.
    """
    return source if callable(source) else check_token(source)


def warn_if_exposed(transport: Transport) -> None:
    """Warn, once for each connection, when others can read the tokens that are sent on it."""
    if not transport.is_private and transport not in _exposed:
        _exposed.add(transport)
        _LOG.warning(
            "tokens go to NATS without TLS, and not to this machine: whoever is on the way can"
            " read and use them"
        )


def expiry(token: str) -> float:
    """Return when a token expires as it says itself, infinity when it does not say.

    Nothing is verified: who sends a token need not doubt it.
    """
    segments = token.split(".")
    if len(segments) != _SEGMENTS:
        return math.inf
    payload = segments[1]
    try:
        claims: Any = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return math.inf
    value: object = cast("dict[str, Any]", claims).get("exp") if isinstance(claims, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.inf
    try:
        return float(value) if math.isfinite(value) else math.inf
    except OverflowError:
        return math.inf


def _retrieve(task: asyncio.Task[str]) -> None:
    """Look at the outcome when every caller has gone: asyncio would report it as lost."""
    if not task.cancelled():
        task.exception()
