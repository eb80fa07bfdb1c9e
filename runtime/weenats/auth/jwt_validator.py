"""JSON Web Tokens: what PyJWT checks, and what it leaves to its user.

A token is judged in this order, each step on no more than the one before has let through: length,
remembered or not, three base64url segments, header, key, signature, claims.
"""

from __future__ import annotations

import re
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from jwt import PyJWK, PyJWS, PyJWT, PyJWTError, exceptions
from typing_extensions import override

from weenats.auth.claims import ClaimRules
from weenats.auth.config import JwtAuthConfig, in_seconds
from weenats.auth.json_reader import JsonError, read_object
from weenats.auth.key_source import KeysUnavailableError, UnknownKeyError
from weenats.auth.token_cache import TokenCache
from weenats.auth.validator import InvalidTokenError
from weenats.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt.types import Options

    from weenats.auth.key_source import KeySource
    from weenats.principal import Principal
    from weenats.protocol.deadline import Clock

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_HEADERS: Final = 64
_MAX_KID: Final = 255
_USUAL_TYPES: Final = frozenset({"jwt", "at+jwt"})
_REASONS: Final[dict[type[Exception], str]] = {
    exceptions.InvalidSignatureError: "the signature is not that of the key",
    exceptions.InvalidKeyError: "the key is weak, or does not fit its algorithm",
    exceptions.InvalidIssuerError: "wrong issuer",
    exceptions.InvalidAudienceError: "wrong audience",
    exceptions.InvalidSubjectError: "sub is no text",
    exceptions.InvalidJTIError: "jti is no text",
}


class _QuickJWS(PyJWS):
    """PyJWS, but for the alphabet of the segments, which it looks up letter by letter.

    Every token here has matched `_COMPACT`. Were this no longer called, PyJWS would do it slower.
    """

    @staticmethod
    @override
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        raw = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        if urlsafe_b64encode(raw).rstrip(b"=") != segment:
            raise exceptions.DecodeError(name)
        return raw


class _StrictJWT(PyJWT):
    """PyJWT, but for claims that can be read in one way only."""

    def __init__(self) -> None:
        super().__init__()
        self._jws = _QuickJWS()

    @override
    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return read_object(decoded["payload"])


class JwtValidator:
    """Tells who calls by a signed JSON Web Token.

    Args:
        config: the rules.
        keys: where the keys come from.
        clock: the time, seconds since the epoch.
    """

    def __init__(self, config: JwtAuthConfig, keys: KeySource, clock: Clock = time.time) -> None:
        # A copy of a configuration may hold what its construction would have refused.
        config = JwtAuthConfig.model_validate(dict(config))
        self._keys = keys
        self._clock = clock
        self._max_length = config.max_token_bytes
        self._algorithms = tuple(config.algorithms)
        self._types = None if config.token_types is None else {*map(_typ, config.token_types)}
        self._issuer = config.issuer
        self._audience = config.audience
        self._claims = ClaimRules(config)
        self._jwt = _StrictJWT()
        self._options: Options = {
            "require": [*config.required_claims],
            "enforce_minimum_key_length": True,
            "verify_exp": False,  # times are ours: by our clock, and stricter
            "verify_nbf": False,
            "verify_iat": False,
        }
        # Tokens of one issuer share their header; what is refused is not kept.
        self._headers = lru_cache(_HEADERS)(self._header)
        self._cache = TokenCache(
            size=config.cache_size,
            ttl=in_seconds(config.cache_ttl),
            max_length=config.max_token_bytes,
            keys=keys,
            clock=clock,
        )
        self.recall: Final = self._cache.get
        """Returns whom a token names that was verified a moment ago, else None."""

    async def validate(self, token: str) -> Principal:
        """Return whom the token names.

        Raises:
            InvalidTokenError: it names nobody.
            UnavailableError: the keys cannot be had now.
        """
        principal = self.recall(token)
        if principal is not None:
            return principal
        if len(token) > self._max_length:
            raise InvalidTokenError("longer than max_token_bytes")
        algorithm, kid = self._headers(_header_segment(token))
        key = await self._key(kid, algorithm)
        # Nothing is awaited from here on, so this is the generation of the key.
        generation = self._keys.generation
        now = self._clock()
        principal = self._claims.principal(self._verify(token, key, algorithm), now)
        self._cache.put(token, generation, now, principal)
        return principal

    def _header(self, segment: str) -> tuple[str, str | None]:
        """Return the algorithm and the key id that a header names."""
        header = _read_header(segment)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise InvalidTokenError("its algorithm is not taken")
        if "crit" in header or "b64" in header:
            raise InvalidTokenError("it has extensions that are not understood (crit, b64)")
        self._check_type(header)
        kid = header.get("kid")
        if "kid" in header and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
            raise InvalidTokenError(f"kid is no text of at most {_MAX_KID} characters")
        return algorithm, kid

    def _check_type(self, header: Mapping[str, Any]) -> None:
        if "typ" not in header:
            if self._types is not None:
                raise InvalidTokenError("typ is missing")
            return
        typ = header["typ"]
        if not isinstance(typ, str) or _typ(typ) not in (self._types or _USUAL_TYPES):
            raise InvalidTokenError("its typ is not taken")

    async def _key(self, kid: str | None, algorithm: str) -> PyJWK:
        try:
            return await self._keys.key(kid, algorithm)
        except KeysUnavailableError:
            known = False
        except UnknownKeyError:
            known = True
        if known:
            raise InvalidTokenError("no key has its kid and fits its algorithm")
        raise UnavailableError("the keys that tokens are signed with cannot be had")

    def _verify(self, token: str, key: PyJWK, algorithm: str) -> dict[str, Any]:
        """Return the claims, once the signature, issuer and audience hold."""
        if key.algorithm_name != algorithm:
            raise InvalidTokenError("the key is not for its algorithm")
        try:
            return self._jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                options=self._options,
                issuer=self._issuer,
                audience=self._audience,
            )
        except exceptions.MissingRequiredClaimError as error:
            reason = f"the claim {error.claim} is missing"
        except JsonError as error:
            reason = f"its claims are malformed: {error}"
        except (PyJWTError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = _REASONS.get(type(error), "malformed")
        # Raised here, so that the error of PyJWT, which may show the token, does not come along.
        raise InvalidTokenError(reason)


def _header_segment(token: str) -> str:
    match = _COMPACT.fullmatch(token)
    if match is None:
        bearer = token[:7].lower() == "bearer "
        raise InvalidTokenError(
            "the prefix Bearer belongs to HTTP" if bearer else "not three base64url segments"
        )
    return match[1]


def _read_header(segment: str) -> dict[str, Any]:
    try:
        return read_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except JsonError as error:
        reason = f"its header is malformed: {error}"
    except ValueError:
        reason = "its header is malformed"
    raise InvalidTokenError(reason)


def _typ(text: str) -> str:
    """Return a media type as RFC 7515 compares them: without case and `application/`."""
    return text.lower().removeprefix("application/")
