"""How a service asks who calls: from what its builder is told to what runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from weenats.auth.config import JwtAuthConfig, NoAuthConfig
from weenats.auth.interceptor import AuthInterceptor
from weenats.auth.jwks import JwksKeySource
from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.keys import StaticKeySource, public_keys, secret_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weenats.auth.config import AuthConfig
    from weenats.auth.keys import KeySource
    from weenats.auth.validator import TokenValidator
    from weenats.contract import AnyOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What asks callers who they are, and the keys that it looks after while a service runs."""

    interceptor: AuthInterceptor
    required: bool
    method: str
    jwks: JwksKeySource | None = None

    @classmethod
    def of(
        cls, config: AuthConfig | None, validator: TokenValidator | None, *, required: bool | None
    ) -> Self | None:
        """Return what a configuration or a validator makes; None when nobody is to be asked.

        Raises:
            ValueError: there are both or none, or the configuration is not safe.
            TypeError: the configuration is none, or the validator has no `validate`.
        """
        given = cast("object", config)
        if (given is None) == (validator is None):
            raise ValueError("with_auth takes a configuration or a validator, one of the two")
        if validator is not None:
            if not callable(getattr(validator, "validate", None)):
                raise TypeError(f"{type(validator).__name__} has no `validate`: see TokenValidator")
            wanted = required is not False
            interceptor = AuthInterceptor(validator, required=wanted)
            return cls(interceptor=interceptor, required=wanted, method=type(validator).__name__)
        if required is not None:
            raise ValueError("`required` goes with a validator; a configuration has its own")
        if isinstance(given, NoAuthConfig):
            return None
        if not isinstance(given, JwtAuthConfig):
            raise TypeError(f"a configuration is an AuthConfig, not {type(given).__name__}")
        keys = _key_source(given)
        return cls(
            interceptor=AuthInterceptor(JwtValidator(given, keys), required=given.required),
            required=given.required,
            method="JWT",
            jwks=keys if isinstance(keys, JwksKeySource) else None,
        )

    def start(self) -> None:
        """Begin to fetch keys, where they have to be fetched."""
        if self.jwks is not None:
            self.jwks.start()

    async def close(self) -> None:
        """Stop fetching keys."""
        if self.jwks is not None:
            await self.jwks.close()


def check_unasked(operations: Iterable[AnyOperation]) -> None:
    """Refuse to serve operations that want to know who calls when nobody asks.

    Raises:
        ValueError: names them.
    """
    wanting = [each.name for each in operations if each.auth is not None and each.auth.required]
    if wanting:
        raise ValueError(
            f"the contract wants to know who calls {', '.join(wanting)}: add with_auth(...)"
        )


def _key_source(config: JwtAuthConfig) -> KeySource:
    if config.jwks_uri is not None:
        return JwksKeySource(config.jwks_uri, config.algorithms)
    if config.public_key is not None:
        return StaticKeySource(public_keys(config.public_key, config.algorithms))
    return StaticKeySource(secret_keys(config.secret_value, config.algorithms))
