"""Tokens of calls: sources, caching, and the second attempt when a service refuses a token."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast
from weakref import WeakSet

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task, retrieve, start_task
from weenats._internal.threads import run_in_thread
from weenats._internal.validation import is_async
from weenats.client.loop_thread import is_on_loop_thread
from weenats.context import Key
from weenats.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
)
from weenats.protocol.identifiers import check_token

if TYPE_CHECKING:
    from weenats.context import RequestContext, Response
    from weenats.interceptors import CallNext
    from weenats.protocol.timeouts import Clock
    from weenats.transport.base import Transport

__all__ = [
    "TOKEN_REFUSED",
    "CachedToken",
    "TokenInterceptor",
    "TokenProvider",
    "TokenSource",
    "ask",
    "check_source",
    "expiry",
    "set_token",
    "warn_if_exposed",
]
TokenProvider = Callable[[], str | Awaitable[str]]
"""Returns a token, or awaits one; it must not block, except with a synchronous client."""
TokenSource = str | TokenProvider
"""A token, or a provider that is called for each call."""
TokenT = TypeVar("TokenT")

TOKEN_REFUSED: Final = Key[str]("token refused")
"""The header of this name of an UNAUTHENTICATED reply, "" when it has none."""
_PROVIDER: Final = Key[TokenProvider]("token provider")
_REFRESH_BEFORE: Final = 30.0
_REFRESH_SHARE: Final = 0.2
_RENEW_INTERVAL: Final = 1.0
_FETCH_TIMEOUT: Final = 60.0
"""Seconds after which a provider is given up: a request without a limit may hang for ever."""
_LOG: Final = LimitedLogger("weenats.auth")
_exposed: Final[WeakSet[Transport]] = WeakSet()


class _Hidden(Generic[TokenT]):
    """A result of a task or future, which asyncio shows in logs when it is in debug mode."""

    def __init__(self, value: TokenT) -> None:
        self.value = value


class CachedToken:
    """A token source that keeps a token, and renews it shortly before it expires.

    While the token is valid, calls use it, and it is renewed in the background: calls neither wait
    nor fail when the issuer is down, which is asked again after a second. Without a valid token,
    concurrent calls wait for one request to the provider. It runs in a task of its own, so the
    deadline of one call does not cancel it for the others; it is cancelled after a minute.

    When a service refuses the token, it is renewed and the call is sent once more. A call whose
    handler raised an UnauthenticatedError is not sent again, nor is one of an operation that is not
    idempotent when the service does not say which of both it was. Tokens are renewed for this
    reason at most once a second, so a service that refuses every token does not flood the issuer.

    Args:
        provider: returns a new token, sync or async. A token with an `exp` claim is renewed from 30
            seconds before it expires, or after four fifths of its lifetime if that is later. A
            token without `exp` is kept until a service refuses it, one that has expired already,
            by the clock of this machine, for a second.
        clock: returns seconds since the epoch.

    Example:
        ```python
        async def fetch_token() -> str:
            response = await http.post("https://issuer.example/token", data=CREDENTIALS)
            return response.json()["access_token"]

        client = ReceiptsClient.connect(token=CachedToken(fetch_token))
        ```

    Raises:
        InvalidArgumentError: the provider is not callable.
    """

    def __init__(self, provider: TokenProvider, *, clock: Clock = time.time) -> None:
        if not callable(provider):
            raise InvalidArgumentError("the provider of a CachedToken must be callable")
        self._provider = provider
        self._clock = clock
        self._token: str | None = None
        self._renew_from = self._valid_until = -math.inf
        self._renewed_at = -math.inf
        self._refreshing: asyncio.Task[_Hidden[str]] | None = None

    def __repr__(self) -> str:
        return f"<CachedToken {'empty' if self._token is None else 'filled'}>"

    async def __call__(self) -> str:
        """Return the token, a new one when the cached one has expired.

        Raises:
            UnavailableError: the provider failed, and no token is valid.
        """
        now = self._clock()
        token = self._token
        if token is None or now >= self._valid_until:
            return (await asyncio.shield(self._refresh())).value
        if now >= self._renew_from:
            self._renew_from = now + _RENEW_INTERVAL  # unless it succeeds
            self._refresh()
        return token

    async def renew(self, refused: str) -> str | None:
        """Replace a token that a service refused.

        Args:
            refused: the refused token.

        Returns:
            Another token; None when there is none, or when a token was renewed less than a second
            ago.

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
        """Remove the cached token, so that the next call uses the provider.

        Args:
            token: the token to remove, if it is the cached one; by default any token.
        """
        if token is None or token == self._token:
            self._token = None

    def _refresh(self) -> asyncio.Task[_Hidden[str]]:
        """Return the task that calls the provider, which all waiting calls share."""
        loop = asyncio.get_running_loop()
        task = self._refreshing
        if task is None or task.done() or task.get_loop() is not loop:
            # An empty context: the provider inherits neither deadline nor trace of one call.
            task = self._refreshing = start_task(self._fetch(), context=Context())
            task.add_done_callback(retrieve)
        return task

    async def _fetch(self) -> _Hidden[str]:
        try:
            token = await self._ask()
        except ServiceError as error:
            # The name of the cause, as its text may have secrets.
            self._kept(type(error.__cause__ or error).__name__)
            raise
        expires_at = expiry(token)
        now = self._clock()
        # By a clock that is wrong, every token may have expired.
        is_valid = expires_at > now
        if not is_valid and (kept := self._kept("the new one has expired already")) is not None:
            return _Hidden(kept)
        margin = min(_REFRESH_BEFORE, (expires_at - now) * _REFRESH_SHARE)
        self._valid_until = expires_at if is_valid else now + _RENEW_INTERVAL
        self._renew_from = expires_at - margin if is_valid else self._valid_until
        self._token = token
        return _Hidden(token)

    def _kept(self, reason: str) -> str | None:
        """Return the token that is used further when there is no new one, and log why."""
        token = self._token
        if token is None or self._clock() >= self._valid_until:
            return None
        _LOG.warning(
            "a token could not be renewed (%s); the one before is used until it expires", reason
        )
        return token

    async def _ask(self) -> str:
        try:
            async with asyncio.timeout(_FETCH_TIMEOUT):
                return await ask(self._provider)
        except TimeoutError:
            text = f"the token provider returned none within {_FETCH_TIMEOUT:g} s"
            raise UnavailableError(f"no token for the call: {text}") from None


class TokenInterceptor:
    """Adds the token to calls, and sends a call again when a cached token was refused.

    The time that the provider takes is part of the time of the call.

    Args:
        transport: the connection, for a warning when it does not encrypt the tokens.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Send a call, with a token when it has a token source.

        Args:
            context: the request.
            call_next: sends the request.

        Returns:
            The response.

        Raises:
            ServiceError: the error of the call, or of the token provider.
        """
        if context.token is not None:
            return self._send(context, call_next)
        if _PROVIDER in context:
            return self._send_with_provider(context[_PROVIDER], context, call_next)
        return call_next(context)

    async def _send(self, context: RequestContext, call_next: CallNext) -> Response:
        try:
            return await call_next(context)
        finally:
            warn_if_exposed(self._transport)

    async def _send_with_provider(
        self, provider: TokenProvider, context: RequestContext, call_next: CallNext
    ) -> Response:
        token = await _before_deadline(ask(provider), context)
        attempt = context.replace(token=token)
        attempt[TOKEN_REFUSED] = ""
        try:
            return await self._send(attempt, call_next)
        except UnauthenticatedError as error:
            refused = attempt[TOKEN_REFUSED]
            if not (error.remote and isinstance(provider, CachedToken)) or refused == "false":
                raise
            renewed = await _before_deadline(provider.renew(token), context)
            # Other services than ours may not say whether they executed the call.
            if renewed is None or not (refused == "true" or context.operation.may_be_retried):
                raise
        return await self._send(context.replace(token=renewed), call_next)


def set_token(context: RequestContext, source: TokenSource) -> None:
    """Set the token of a call, or the provider that is called when the request is sent.

    Args:
        context: the request.
        source: a token or a provider.
    """
    if isinstance(source, str):
        context.token = source
    else:
        context[_PROVIDER] = source


async def ask(provider: TokenProvider) -> str:
    """Return a token of a provider.

    Args:
        provider: the provider.

    Raises:
        ServiceError: the provider raised it.
        UnavailableError: the provider failed with another exception, or did not return a token.
    """
    task = asyncio.current_task()
    try:
        if is_on_loop_thread() and not is_async(provider):
            variables = copy_context()
            hidden = run_in_thread(lambda: _Hidden(variables.run(provider)), "weenats token")
            given = (await hidden).value
        else:
            given = provider()
        token = cast("object", await given if inspect.isawaitable(given) else given)
    except ServiceError:
        raise
    except BaseException as error:
        if ends_task(error, task):
            raise
        raise UnavailableError("no token for the call: the token provider failed") from error
    if not isinstance(token, str) or not token:
        raise UnavailableError("no token for the call: the token provider returned none")
    return token


def check_source(source: TokenSource) -> TokenSource:
    """Check a token or a provider of tokens.

    Args:
        source: the value to check.

    Returns:
        The value.

    Raises:
        InvalidArgumentError: it is neither a token nor a provider, or the token is empty. The error
            does not contain the value.
    """
    return source if callable(source) else check_token(source)


def warn_if_exposed(transport: Transport) -> None:
    """Warn, once per connection, when tokens are sent to a remote server without TLS.

    Args:
        transport: the connection.
    """
    if not transport.is_private and transport not in _exposed:
        _exposed.add(transport)
        _LOG.warning(
            "tokens are sent to a remote NATS server without TLS: anyone on the network path can"
            " read and use them"
        )


def expiry(token: str) -> float:
    """Return when a token expires, from its `exp` claim.

    The signature is not verified: only the receiver of a token has to.

    Args:
        token: the token, usually a JWT.

    Returns:
        Seconds since the epoch; infinity when there is no valid `exp` claim.
    """
    import jwt  # noqa: PLC0415 - slow; most clients have no token

    try:
        value: object = jwt.decode(token, options={"verify_signature": False}).get("exp")
        if type(value) in {int, float}:
            expires_at = float(cast("float", value))
            return expires_at if math.isfinite(expires_at) else math.inf
    except (jwt.PyJWTError, ValueError, OverflowError, RecursionError):
        pass  # not a JWT, or not a valid one
    return math.inf


async def _before_deadline(token: Awaitable[TokenT], context: RequestContext) -> TokenT:
    """Wait for a token within the time of the call."""
    try:
        async with asyncio.timeout(context.remaining):
            return await token
    except TimeoutError:
        raise DeadlineExceededError(
            "the deadline passed before the token provider returned a token"
        ) from None
