"""Validation of JSON Web Tokens (RFC 7519) with PyJWT and the additional checks of RFC 8725.

Steps, in this order: cache, length, three base64url segments, header, key, signature, claims.
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
from weenats.auth.keys import KeysUnavailableError, UnknownKeyError
from weenats.auth.token_cache import TokenCache
from weenats.auth.validator import InvalidTokenError
from weenats.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jwt.types import Options

    from weenats.auth.keys import KeySource
    from weenats.principal import Principal
    from weenats.protocol.timeouts import Clock

__all__ = ["JwtValidator"]

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_HEADERS: Final = 64
_MAX_KID: Final = 255
_USUAL_TYPES: Final = frozenset({"jwt", "at+jwt"})
_REASONS: Final[dict[type[Exception], str]] = {
    exceptions.InvalidSignatureError: "the signature is invalid",
    exceptions.InvalidKeyError: "the key is weak or does not fit the algorithm",
    exceptions.InvalidIssuerError: "wrong issuer",
    exceptions.InvalidAudienceError: "wrong audience",
    exceptions.InvalidSubjectError: "sub is not a string",
    exceptions.InvalidJTIError: "jti is not a string",
}


class _QuickJWS(PyJWS):
    """PyJWS with a faster base64url decoder.

    PyJWS looks up each character, which is not needed: every token has matched `_COMPACT`. Should
    PyJWS no longer call this method, decoding is slower but correct.
    """

    @staticmethod
    @override
    def _decode_base64url_segment(segment: bytes, name: str) -> bytes:
        raw = urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
        if urlsafe_b64encode(raw).rstrip(b"=") != segment:
            raise exceptions.DecodeError(name)
        return raw


class _StrictJWT(PyJWT):
    """PyJWT with the strict JSON parser for claims."""

    def __init__(self) -> None:
        super().__init__()
        self._jws = _QuickJWS()

    @override
    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return read_object(decoded["payload"])


class JwtValidator:
    """Validates JSON Web Tokens; see `TokenValidator`.

    Args:
        config: the settings.
        keys: the source of the verification keys.
        clock: wall-clock time, seconds since the epoch.

    Attributes:
        recall: returns the principal of a token that is in the cache, else None.

    Raises:
        ValueError: the settings are not valid.
    """

    def __init__(self, config: JwtAuthConfig, keys: KeySource, clock: Clock = time.time) -> None:
        # `model_copy(update=...)` does not validate, so validate again.
        config = JwtAuthConfig.model_validate(dict(config))
        self._keys = keys
        self._clock = clock
        self._config = config
        self._types = None if config.token_types is None else {*map(_typ, config.token_types)}
        self._claims = ClaimRules(config)
        self._jwt = _StrictJWT()
        self._options: Options = {
            "require": [*config.required_claims],
            "enforce_minimum_key_length": True,
            "verify_exp": False,  # ClaimRules checks times, by the given clock
            "verify_nbf": False,
            "verify_iat": False,
        }
        # Tokens of one issuer have the same header; exceptions are not cached.
        self._headers = lru_cache(_HEADERS)(self._header)
        self._cache = TokenCache(
            size=config.cache_size,
            ttl=in_seconds(config.cache_ttl),
            max_length=config.max_token_bytes,
            keys=keys,
            clock=clock,
        )
        self.recall: Final = self._cache.get

    async def validate(self, token: str) -> Principal:
        """Validate a token and return its principal.

        Args:
            token: the token of a request.

        Raises:
            InvalidTokenError: the token is not valid.
            UnavailableError: no verification keys are available now.
        """
        principal = self.recall(token)
        if principal is not None:
            return principal
        if len(token) > self._config.max_token_bytes:
            raise InvalidTokenError("the token is longer than max_token_bytes")
        algorithm, kid = self._headers(_header_segment(token))
        key = await self._key(kid, algorithm)
        # This is still the generation of the key: there is no await in between.
        generation = self._keys.generation
        now = self._clock()
        principal = self._claims.principal(self._verify(token, key, algorithm), now)
        self._cache.put(token, generation, now, principal)
        return principal

    def _header(self, segment: str) -> tuple[str, str | None]:
        """Check the header segment and return its `alg` and `kid`."""
        header = _read_header(segment)
        algorithm = header.get("alg")
        if not isinstance(algorithm, str) or algorithm not in self._config.algorithms:
            raise InvalidTokenError("the algorithm is not accepted")
        if "crit" in header or "b64" in header:
            raise InvalidTokenError("the header has unsupported extensions (crit, b64)")
        self._check_type(header)
        kid = header.get("kid")
        if "kid" in header and not (isinstance(kid, str) and len(kid) <= _MAX_KID):
            raise InvalidTokenError(f"kid is not a string of at most {_MAX_KID} characters")
        return algorithm, kid

    def _check_type(self, header: Mapping[str, Any]) -> None:
        if "typ" not in header:
            if self._types is not None:
                raise InvalidTokenError("typ is missing")
            return
        typ = header["typ"]
        if not isinstance(typ, str) or _typ(typ) not in (self._types or _USUAL_TYPES):
            raise InvalidTokenError("typ is not accepted")

    async def _key(self, kid: str | None, algorithm: str) -> PyJWK:
        error: UnavailableError | InvalidTokenError
        try:
            return await self._keys.key(kid, algorithm)
        except KeysUnavailableError:
            error = UnavailableError("the keys that verify tokens are unavailable")
        except UnknownKeyError:
            error = InvalidTokenError("no key matches its kid and algorithm")
        raise error  # not raised above: the exception of the key source would be its context

    def _verify(self, token: str, key: PyJWK, algorithm: str) -> dict[str, Any]:
        """Verify signature, issuer and audience, and return the claims."""
        if key.algorithm_name != algorithm:
            raise InvalidTokenError("the key is not for this algorithm")
        try:
            return self._jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                options=self._options,
                issuer=self._config.issuer,
                audience=self._config.audience,
            )
        except exceptions.MissingRequiredClaimError as error:
            reason = f"the claim {error.claim} is missing"
        except JsonError as error:
            reason = f"malformed claims: {error}"
        except (PyJWTError, TypeError, ValueError, OverflowError, RecursionError) as error:
            reason = _REASONS.get(type(error), "the token is malformed")
        # Not raised above: the error of PyJWT, which may show the token, would be its context.
        raise InvalidTokenError(reason)


def _header_segment(token: str) -> str:
    match = _COMPACT.fullmatch(token)
    if match is None:
        bearer = token[:7].lower() == "bearer "
        raise InvalidTokenError(
            "the prefix Bearer is for HTTP only"
            if bearer
            else "the token is not three base64url segments"
        )
    return match[1]


def _read_header(segment: str) -> dict[str, Any]:
    try:
        return read_object(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except JsonError as error:
        reason = f"malformed header: {error}"
    except ValueError:
        reason = "malformed header"
    raise InvalidTokenError(reason)


def _typ(text: str) -> str:
    """Normalize a media type for comparison: no case, no `application/` (RFC 7515, 4.1.9)."""
    return text.lower().removeprefix("application/")
