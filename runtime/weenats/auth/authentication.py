"""Authentication as a member of a service's chain."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Self, cast

from typing_extensions import override

from weenats._internal.validation import check_boolean
from weenats.auth.config import JwtAuthConfig, NoAuthConfig
from weenats.auth.interceptor import AuthInterceptor
from weenats.auth.jwks import JwksKeySource
from weenats.auth.jwks_fetch import fetch
from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.keys import StaticKeySource, public_keys, secret_keys
from weenats.interceptors import PRINCIPAL, Description, ServiceFeature, Setting
from weenats.telemetry.semconv import FEATURE_AUTH

if TYPE_CHECKING:
    from weenats.auth.config import AuthConfig
    from weenats.auth.keys import KeySource
    from weenats.auth.validator import TokenValidator
    from weenats.contract import AnyOperation

__all__ = ["Authentication"]


class Authentication(ServiceFeature):
    """Authenticates and authorizes the callers of all operations.

    Args:
        validator: validates the tokens.
        required: whether calls need a token, where the contract does not say.
        method: how callers are authenticated, for `weenats explain`.
        jwks: the published keys that the validator uses, None without any.
    """

    def __init__(
        self,
        validator: TokenValidator,
        *,
        required: bool,
        method: str,
        jwks: JwksKeySource | None = None,
    ) -> None:
        self.required = required
        self.method = method
        self.jwks = jwks
        self._interceptor = AuthInterceptor(validator, required=required)

    @classmethod
    def of(
        cls, config: AuthConfig | None, validator: TokenValidator | None, *, required: bool | None
    ) -> Self | None:
        """Return the authentication of a configuration or a validator.

        Args:
            config: how tokens are validated, None if there is a validator.
            validator: validates tokens, None if there is a configuration.
            required: with a validator, whether calls need a token; None for True.

        Returns:
            None for NoAuthConfig.

        Raises:
            ValueError: both or neither are given, or the configuration is not safe.
            TypeError: the configuration is not an AuthConfig, or the validator has no `validate`.
        """
        given = cast("object", config)
        if (given is None) == (validator is None):
            raise ValueError("with_auth() takes either a configuration or a validator")
        if validator is not None:
            if not callable(getattr(validator, "validate", None)):
                raise TypeError(f"{type(validator).__name__} has no `validate`: see TokenValidator")
            if required is not None:
                check_boolean("required", required)
            return cls(validator, required=required is not False, method=type(validator).__name__)
        if required is not None:
            raise ValueError("`required` goes with a validator; a configuration has its own")
        if isinstance(given, NoAuthConfig):
            return None
        if not isinstance(given, JwtAuthConfig):
            kind = f"class {given.__name__}" if isinstance(given, type) else type(given).__name__
            raise TypeError(f"config must be a JwtAuthConfig or a NoAuthConfig, not {kind}")
        keys = _key_source(given)
        return cls(
            JwtValidator(given, keys),
            required=given.required,
            method="JWT",
            jwks=keys if isinstance(keys, JwksKeySource) else None,
        )

    @override
    def interceptor(self, operation: AnyOperation) -> AuthInterceptor:
        return self._interceptor

    @override
    def describe(self, operation: AnyOperation) -> Description:
        auth = operation.auth
        required = self.required if auth is None else auth.required
        value = f"{self.method}, {'required' if required else 'optional'}"
        source = "with_auth" if auth is None else "contract"
        settings = [Setting("authentication", value, source)]
        if auth is not None and auth.scopes:
            settings.append(Setting("scopes", list(auth.scopes), "contract"))
        return Description(
            name="authentication",
            settings=tuple(settings),
            provides=frozenset({PRINCIPAL}),
            span_attributes={FEATURE_AUTH: "enabled"},
        )


def _key_source(config: JwtAuthConfig) -> KeySource:
    if config.jwks_uri is not None:
        load = partial(fetch, headers=config.jwks_headers)
        return JwksKeySource(config.jwks_uri, config.algorithms, fetch=load)
    if config.public_key is not None:
        return StaticKeySource(public_keys(config.public_key, config.algorithms))
    return StaticKeySource(secret_keys(config.secret_value, config.algorithms))
