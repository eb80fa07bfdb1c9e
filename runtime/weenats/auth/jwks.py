"""The signing keys that an issuer publishes (JWKS), fetched apart from the requests they serve."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection
from contextvars import Context
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import urlsplit

from weenats.auth.json_reader import read_object
from weenats.auth.jwks_fetch import FetchError, fetch
from weenats.auth.key_source import KeysUnavailableError, UnknownKeyError
from weenats.auth.keys import SYMMETRIC, KeyRefusedError, jwk_keys

if TYPE_CHECKING:
    from jwt import PyJWK

    from weenats.protocol.deadline import Clock

Fetch = Callable[[str], bytes]
"""Returns the document at a URI, in a thread; raises FetchError."""

LIFETIME: Final = 300.0
"""Seconds for which fetched keys are fresh."""
REFRESH_AFTER: Final = 240.0
"""Seconds after which they are fetched anew, so that nobody waits when they expire."""
MAX_STALE: Final = 3600.0
"""Seconds for which expired keys still serve while the endpoint is down."""
COOLDOWN: Final = 1.0
"""Seconds between two fetches, whoever asks."""
MAX_BACKOFF: Final = 5.0
"""Seconds between two fetches at most, however many failed."""
UNKNOWN_WAIT: Final = 1.0
"""Seconds after the begin of a fetch for which tokens wait whose kid it may bring.

They wait for no endpoint that took longer the last time: each holds a place of the service's
`max_concurrency`, so invented kids would keep everybody out.
"""
FIRST_WAIT: Final = 6.0
"""Seconds that a token waits for keys when there are none: a little more than a fetch takes."""

_LOG: Final = logging.getLogger("weenats.auth")
_Keys = dict[str | None, dict[str, "PyJWK"]]
_NO_KEYS: Final[dict[str, PyJWK]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class JwksState:
    """What a health check may want to know.

    Attributes:
        status: "fresh"; "stale" when the keys expired and the endpoint is down; "empty" when there
            are no keys to verify tokens with.
        keys: how many there are.
        age: seconds since they were fetched, None when they never were.
        failures: fetches that failed since the last one that did not.
        last_error: why the last fetch failed, None when it did not.
    """

    status: Literal["fresh", "stale", "empty"]
    keys: int
    age: float | None
    failures: int
    last_error: str | None


class JwksKeySource:
    """Fetches the keys of an issuer and keeps them fresh; see KeySource.

    One task at a time fetches, in a thread, at most once a second. `start` begins at once, else
    the first token does; from then on keys are fetched anew before they expire, until `close`.
    When that fails they serve on for an hour. A kid that nobody knows sets off a fetch as well.

    Args:
        uri: where the keys are.
        algorithms: what tokens may be signed with; keys that fit none of them are passed over.
        fetch: returns the document, in a thread.
        clock: the time in seconds, monotonic.
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
            raise ValueError("a JWKS holds public keys, and HMAC has none")
        self._uri = uri
        self._algorithms = tuple(algorithms)
        self._load = fetch
        self._clock = clock
        self._keys: _Keys = {}
        self._jwks: dict[str | None, Any] = {}
        self._generation = 0
        self._fetched_at: float | None = None
        self._attempted_at = -math.inf
        self._is_slow = False
        self._failures = 0
        self._last_error: str | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<JwksKeySource {self._shown}>"

    @property
    def generation(self) -> int:
        """A number that changes whenever a key comes or goes."""
        return self._generation

    def state(self) -> JwksState:
        """Return what a health check may want to know."""
        return JwksState(
            status=self._status(),
            keys=len(self._keys),
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
        """Begin to fetch, within the running loop."""
        self._fetch_if_due()

    async def close(self) -> None:
        """Stop fetching; the keys stay, and a token that comes later begins again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._fetching = self._fetching, None
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()
            await asyncio.wait({task})

    async def key(self, kid: str | None, algorithm: str) -> PyJWK:
        """Return the key of this id; see KeySource."""
        self._fetch_if_due()
        if not self._is_usable():
            await self._join(FIRST_WAIT)
            if not self._is_usable():
                raise KeysUnavailableError
        key = self._find(kid, algorithm)
        if key is None and (kid is None or kid not in self._keys):
            if self._may_fetch():
                self._begin()
            if not self._is_slow:
                await self._join(self._attempted_at + UNKNOWN_WAIT - self._clock())
            key = self._find(kid, algorithm)
        if key is None:
            raise UnknownKeyError
        return key

    def _find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        if kid is not None:
            return self._keys.get(kid, _NO_KEYS).get(algorithm)
        fitting = [keys[algorithm] for keys in self._keys.values() if algorithm in keys]
        return fitting[0] if len(fitting) == 1 else None

    @property
    def age(self) -> float | None:
        """Seconds since the keys were fetched, None when they never were."""
        return None if self._fetched_at is None else self._clock() - self._fetched_at

    def _is_usable(self) -> bool:
        age = self.age
        if age is None:
            return False
        if age < LIFETIME + MAX_STALE:
            return True
        if self._keys:
            self._take({}, {})
            _LOG.error("the keys at %s are too old to be used", self._shown)
        return False

    def _due_at(self) -> float:
        """Return when the next fetch is wanted."""
        if self._failures or self._fetched_at is None:
            return self._attempted_at + self._pause()
        return self._fetched_at + REFRESH_AFTER

    def _pause(self) -> float:
        """Return how long to wait from one attempt to the next."""
        return min(COOLDOWN * 2.0 ** min(max(self._failures - 1, 0), 9), MAX_BACKOFF)

    def _may_fetch(self) -> bool:
        return not self._is_fetching() and self._clock() >= self._attempted_at + self._pause()

    def _is_fetching(self) -> bool:
        task = self._fetching
        if task is not None and task.get_loop() is not asyncio.get_running_loop():
            task = self._fetching = self._timer = None  # that loop has ended
        return task is not None and not task.done()

    def _fetch_if_due(self) -> None:
        if self._clock() >= self._due_at() and self._may_fetch():
            self._begin()
        elif self._timer is None and not self._is_fetching():
            self._set_timer()

    def _begin(self) -> None:
        self._attempted_at = self._clock()
        # It belongs to no request: not to its deadline, not to its trace.
        self._fetching = asyncio.get_running_loop().create_task(self._fetch(), context=Context())

    async def _join(self, timeout: float) -> None:
        task = self._fetching
        if task is not None and self._is_fetching() and timeout > 0:
            await asyncio.wait({task}, timeout=timeout)

    async def _fetch(self) -> None:
        started = self._attempted_at
        try:
            keys, jwks = await asyncio.to_thread(self._read)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is known serves on
            self._fail(str(error) if isinstance(error, FetchError) else type(error).__name__)
        else:
            if self._failures:
                _LOG.info("the keys at %s are fetched again", self._shown)
            self._failures = 0
            self._last_error = None
            self._fetched_at = started
            if jwks != self._jwks:
                self._take(keys, jwks)
        self._is_slow = self._clock() - started >= UNKNOWN_WAIT
        self._set_timer()

    def _read(self) -> tuple[_Keys, dict[str | None, Any]]:
        """Fetch and parse; in a thread, because a set of many keys takes its time."""
        return read_keys(self._load(self._uri), self._algorithms)

    def _take(self, keys: _Keys, jwks: dict[str | None, Any]) -> None:
        self._keys = keys
        self._jwks = jwks
        self._generation += 1

    def _fail(self, reason: str) -> None:
        self._failures += 1
        level = logging.WARNING if reason != self._last_error else logging.DEBUG
        self._last_error = reason
        _LOG.log(level, "the keys at %s cannot be fetched: %s", self._shown, reason)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        delay = max(self._due_at() - self._clock(), 0)
        self._timer = asyncio.get_running_loop().call_later(delay, self._wake, context=Context())

    def _wake(self) -> None:
        self._timer = None
        self._fetch_if_due()

    @property
    def _shown(self) -> str:
        """The URI without what may be secret in it."""
        parts = urlsplit(self._uri)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"


def read_keys(document: bytes, algorithms: Collection[str]) -> tuple[_Keys, dict[str | None, Any]]:
    """Return the keys of a JWKS by id, each for the algorithms it fits, and their JWKs.

    Keys that may not sign tokens are passed over, and so are those that share an id: nobody could
    say which of them is meant.

    Raises:
        FetchError: it is no JWKS.
    """
    try:
        members = read_object(document).get("keys")
    except (ValueError, RecursionError):
        raise FetchError("it is no JSON object") from None
    if not isinstance(members, list):
        raise FetchError("it is no JWKS: there is no list `keys`")
    keys: _Keys = {}
    jwks: dict[str | None, Any] = {}
    shared: set[str | None] = set()
    for jwk in cast("list[object]", members):
        taken = _usable(jwk, algorithms)
        if taken is None:
            continue
        kid, fitting = taken
        if kid in keys:
            shared.add(kid)
        keys[kid] = fitting
        jwks[kid] = jwk
    for kid in shared:
        del keys[kid], jwks[kid]
    if shared:
        _LOG.warning("a JWKS has several keys of one id; none of these is used")
    return keys, jwks


def _usable(jwk: object, algorithms: Collection[str]) -> tuple[str | None, dict[str, PyJWK]] | None:
    """Return the id of a key and what it verifies, None when it may verify nothing."""
    if not isinstance(jwk, dict):
        return None
    members = cast("dict[str, Any]", jwk)
    kid = members.get("kid")
    if kid is not None and not isinstance(kid, str):
        return None
    try:
        return kid, jwk_keys(members, algorithms)
    except KeyRefusedError:
        return None
