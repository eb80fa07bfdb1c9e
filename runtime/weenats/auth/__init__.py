"""Message-level authentication and authorization with the token of each request.

For authentication of the connection to the NATS server, see `weenats.ConnectionOptions`.
"""

from weenats.auth.config import AuthConfig, JwtAuthConfig, NoAuthConfig
from weenats.auth.interceptor import AuthInterceptor
from weenats.auth.jwks import JwksKeySource, JwksState
from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.keys import KeySource, KeysUnavailableError, StaticKeySource, UnknownKeyError
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
