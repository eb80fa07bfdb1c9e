"""Who is calling: message-level authentication.

It is told by the token in each message; how a connection to NATS is authenticated is another
matter, see `weenats.ConnectionOptions`.
"""

from weenats.auth.config import AuthConfig, JwtAuthConfig, NoAuthConfig
from weenats.auth.interceptor import AuthInterceptor
from weenats.auth.jwks import JwksKeySource, JwksState
from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.key_source import (
    KeySource,
    KeysUnavailableError,
    StaticKeySource,
    UnknownKeyError,
)
from weenats.auth.validator import InvalidTokenError, TokenValidator
from weenats.principal import Principal

__all__ = [
    "AuthConfig",
    "AuthInterceptor",
    "InvalidTokenError",
    "JwksKeySource",
    "JwksState",
    "JwtAuthConfig",
    "JwtValidator",
    "KeySource",
    "KeysUnavailableError",
    "NoAuthConfig",
    "Principal",
    "StaticKeySource",
    "TokenValidator",
    "UnknownKeyError",
]
