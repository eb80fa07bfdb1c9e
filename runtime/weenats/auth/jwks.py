"""A key source that fetches the key set of an issuer (JWKS, RFC 7517) in the background."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import urlsplit

from weenats._internal.tasks import cancel_and_wait, start_task
from weenats._internal.threads import run_in_thread
from weenats.auth.json_reader import JsonError, read_object
from weenats.auth.jwks_fetch import FetchError, fetch
from weenats.auth.keys import (
    SYMMETRIC,
    KeyRefusedError,
    KeysUnavailableError,
    UnknownKeyError,
    jwk_keys,
)

if TYPE_CHECKING:
    from jwt import PyJWK

    from weenats.protocol.timeouts import Clock

__all__ = ["Fetch", "JwksKeySource", "JwksState", "read_keys"]

Fetch = Callable[[str], bytes]
"""Returns the document at a URL, or raises `FetchError`; it is called in a thread."""

LIFETIME: Final = 300.0
"""How long fetched keys are fresh, in seconds."""
REFRESH_AFTER: Final = 240.0
"""Age at which keys are fetched again, in seconds: before they expire, so that no token waits."""
MAX_STALE: Final = 3600.0
"""How long expired keys are still used while the endpoint is down, in seconds."""
COOLDOWN: Final = 1.0
"""Minimum time between two fetches, in seconds."""
MAX_BACKOFF: Final = 5.0
"""Maximum delay before a failed fetch is retried, in seconds."""
UNKNOWN_WAIT: Final = 1.0
"""How long tokens with an unknown kid wait for a fetch, in seconds from its start.

They do not wait if the last fetch took longer: each waiting request counts towards
`max_concurrency`, so requests with invented kids would block all others. For the same reason at
most `MAX_UNKNOWN` kids are waited for at a time, and for `DISTRUST` seconds after a fetch that did
not bring one only the request that starts a fetch waits.
"""
MAX_UNKNOWN: Final = 2
"""How many unknown kids are waited for at a time; all requests with the key of a rotation wait."""
DISTRUST: Final = 30.0
"""How long unknown kids are not waited for after one that was invented, in seconds."""
FIRST_WAIT: Final = 6.0
"""How long tokens wait while there are no keys, in seconds: slightly more than a fetch may take."""

_LOG: Final = logging.getLogger("weenats.auth")
_Keys = dict[str | None, dict[str, "PyJWK"]]
_Jwks = dict[tuple[str | None, str], Any]
_NO_KEYS: Final[dict[str, PyJWK]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksState:
    """The state of a JwksKeySource, for health checks.

    Attributes:
        status: "fresh"; "stale" if the keys have expired and the endpoint is down; "empty" if there
            are no usable keys.
        keys: number of keys.
        age: seconds since the keys were fetched, None before the first successful fetch.
        failures: number of failed fetches since the last successful one.
        last_error: reason of the last failure, None after a successful fetch.
    """

    status: Literal["fresh", "stale", "empty"]
    keys: int
    age: float | None
    failures: int
    last_error: str | None


class JwksKeySource:
    """A key source that fetches the key set of an issuer and keeps it fresh.

    Fetching begins with `start` or the first token. From then on keys are fetched again before they
    expire, until `close`; if that fails, they remain usable for another hour. An unknown kid also
    triggers a fetch. There is at most one fetch at a time, and at most one per second.

    Args:
        uri: URL of the key set.
        algorithms: accepted signature algorithms; keys that fit none of them are ignored.
        fetch: fetches the document; it is called in a thread.
        clock: monotonic time in seconds.

    Attributes:
        generation: a number that changes whenever a key is added or removed.

    Raises:
        ValueError: an algorithm is an HMAC.
    """

    def __init__(
        self,
        uri: str,
        algorithms: Collection[str],
        *,
        fetch: Fetch = fetch,
        clock: Clock = monotonic,
    ) -> None:
        if not SYMMETRIC.isdisjoint(algorithms):
            raise ValueError(
                "jwks_uri cannot be used with HMAC algorithms: a JWKS has public keys only"
            )
        self._uri = uri
        self._algorithms = tuple(algorithms)
        self._load = fetch
        self._clock = clock
        self._keys: _Keys = {}
        self._jwks: _Jwks = {}
        self.generation = 0
        self._fetched_at: float | None = None
        self._attempted_at = -math.inf
        self._is_slow = False
        self._awaited: Counter[str | None] = Counter()
        self._distrusted_until = -math.inf
        self._failures = 0
        self._last_error: str | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<JwksKeySource {self._redacted_uri}>"

    def state(self) -> JwksState:
        """Return the current state, for health checks."""
        return JwksState(
            status=self._status(),
            keys=len({id(jwk) for jwk in self._jwks.values()}),
            age=self.age,
            failures=self._failures,
            last_error=self._last_error,
        )

    def _status(self) -> Literal["fresh", "stale", "empty"]:
        age = self.age
        if age is None or not self._is_usable() or not self._keys:
            return "empty"
        return "fresh" if age < LIFETIME else "stale"

    def start(self) -> None:
        """Begin to fetch in the running event loop."""
        self._fetch_if_due()

    async def close(self) -> None:
        """Stop fetching. Keys are kept, and the next token starts fetching again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._fetching = self._fetching, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            await cancel_and_wait(task)

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return a verification key, after a fetch if it is not known yet.

        Args:
            kid: the `kid` header of the token. None if the token has none; then the only key that
                fits the algorithm is returned.
            algorithm: the `alg` header of the token.

        Raises:
            UnknownKeyError: no key, or more than one, is suitable.
            KeysUnavailableError: no keys could be fetched.
        """
        self._fetch_if_due()
        if not self._is_usable():
            await self._wait_for_fetch(FIRST_WAIT)
            if not self._is_usable():
                raise KeysUnavailableError
        key = self._find(kid, algorithm)
        if key is None and (kid is None or kid not in self._keys):
            starts = self._may_fetch()
            if starts:
                self._start_fetch()
            if not self._is_slow and (starts or self._may_wait_for(kid)):
                key = await self._wait_for_key(kid, algorithm)
        if key is None:
            raise UnknownKeyError
        return key

    def _may_wait_for(self, kid: str | None) -> bool:
        if self._clock() < self._distrusted_until:
            return False
        return kid in self._awaited or len(self._awaited) < MAX_UNKNOWN

    async def _wait_for_key(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """Return the key once it was fetched; a token for which there is none may be invented."""
        self._awaited[kid] += 1
        try:
            await self._wait_for_fetch(self._attempted_at + UNKNOWN_WAIT - self._clock())
        finally:
            self._awaited[kid] -= 1
            if not self._awaited[kid]:
                del self._awaited[kid]
        key = self._find(kid, algorithm)
        self._distrusted_until = self._clock() + DISTRUST if key is None else -math.inf
        return key

    def _find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        if kid is not None:
            return self._keys.get(kid, _NO_KEYS).get(algorithm)
        fitting = [keys[algorithm] for keys in self._keys.values() if algorithm in keys]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched, None before the first successful fetch."""
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _is_usable(self) -> bool:
        age = self.age
        if age is None:
            return False
        if age < LIFETIME + MAX_STALE:
            return True
        if self._keys:
            self._replace_keys({}, {})
            _LOG.error("the keys at %s are too old and no longer used", self._redacted_uri)
        return False

    def _due_at(self) -> float:
        """Return the time of the next scheduled fetch."""
        if self._failures or self._fetched_at is None:
            return self._attempted_at + self._pause()
        return self._fetched_at + REFRESH_AFTER

    def _pause(self) -> float:
        """Return the seconds from the last fetch to the next, with exponential backoff."""
        return min(COOLDOWN * 2.0 ** min(max(self._failures - 1, 0), 9), MAX_BACKOFF)

    def _may_fetch(self) -> bool:
        return not self._is_fetching() and self._clock() >= self._attempted_at + self._pause()

    def _is_fetching(self) -> bool:
        task = self._fetching
        if task is not None and task.get_loop() is not asyncio.get_running_loop():
            task = self._fetching = self._timer = None  # their event loop has ended
        return task is not None and not task.done()

    def _fetch_if_due(self) -> None:
        if self._clock() >= self._due_at() and self._may_fetch():
            self._start_fetch()
        elif self._timer is None and not self._is_fetching():
            self._set_timer()

    def _start_fetch(self) -> None:
        self._attempted_at = self._clock()
        # An empty context: the fetch must not inherit the deadline and trace of a request.
        self._fetching = start_task(self._fetch(), context=Context())

    async def _wait_for_fetch(self, timeout: float) -> None:
        task = self._fetching
        if task is not None and self._is_fetching() and timeout > 0:
            await asyncio.wait({task}, timeout=timeout)

    async def _fetch(self) -> None:
        started = self._attempted_at
        try:
            keys, jwks = await run_in_thread(self._read, "weenats keys")
        except Exception as error:  # noqa: BLE001 - the known keys remain usable
            self._fail(str(error) if isinstance(error, FetchError) else type(error).__name__)
        else:
            if self._failures:
                _LOG.info("the keys at %s can be fetched again", self._redacted_uri)
            self._failures = 0
            self._last_error = None
            self._fetched_at = started
            if jwks != self._jwks:
                self._replace_keys(keys, jwks)
        self._is_slow = self._clock() - started >= UNKNOWN_WAIT
        self._set_timer()

    def _read(self) -> tuple[_Keys, _Jwks]:
        """Fetch and parse, both in a thread: parsing many keys takes long."""
        return read_keys(self._load(self._uri), self._algorithms)

    def _replace_keys(self, keys: _Keys, jwks: _Jwks) -> None:
        self._keys = keys
        self._jwks = jwks
        self.generation += 1

    def _fail(self, reason: str) -> None:
        self._failures += 1
        level = logging.WARNING if reason != self._last_error else logging.DEBUG
        self._last_error = reason
        _LOG.log(level, "the keys at %s cannot be fetched: %s", self._redacted_uri, reason)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(self._due_at() - self._clock(), 0)
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake, context=Context())

    def _wake(self) -> None:
        self._timer = None
        self._fetch_if_due()

    @property
    def _redacted_uri(self) -> str:
        """The URL without user, password and query, which may be secret."""
        parts = urlsplit(self._uri)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"


def read_keys(document: bytes, algorithms: Collection[str]) -> tuple[_Keys, _Jwks]:
    """Parse a JWKS.

    Keys that must not verify tokens are ignored, and so are keys that share kid and algorithm,
    since a token could mean any of them. Keys may share a kid, or have none, when their types and
    algorithms tell them apart (RFC 7517, section 4.5).

    Args:
        document: the JWKS as JSON.
        algorithms: accepted signature algorithms.

    Returns:
        The keys by kid and algorithm, and their JWKs by both.

    Raises:
        FetchError: the document is not a JWKS.
    """
    try:
        members = read_object(document).get("keys")
    except JsonError:
        raise FetchError("the document is not a JSON object") from None
    if not isinstance(members, list):
        raise FetchError("the document is not a JWKS: it has no array `keys`")
    keys: _Keys = {}
    jwks: _Jwks = {}
    ambiguous: set[tuple[str | None, str]] = set()
    for jwk in cast("list[object]", members):
        with suppress(KeyRefusedError):
            kid, fitting = _read_key(jwk, algorithms)
            for algorithm, key in fitting.items():
                if jwks.setdefault((kid, algorithm), jwk) != jwk:
                    ambiguous.add((kid, algorithm))
                keys.setdefault(kid, {})[algorithm] = key
    for kid, algorithm in ambiguous:
        del jwks[kid, algorithm], keys[kid][algorithm]
        if not keys[kid]:
            del keys[kid]
    if ambiguous:
        _LOG.warning(
            "the JWKS has several keys with the same kid and algorithm; none of them is used"
        )
    return keys, jwks


def _read_key(jwk: object, algorithms: Collection[str]) -> tuple[str | None, dict[str, PyJWK]]:
    """Return the kid and the keys by algorithm.

    Raises:
        KeyRefusedError: the JWK must not verify tokens.
    """
    if not isinstance(jwk, dict):
        raise KeyRefusedError("the key is not a JSON object")
    members = cast("dict[str, Any]", jwk)
    kid = members.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise KeyRefusedError("`kid` of the key is not a string")
    return kid, jwk_keys(members, algorithms)
