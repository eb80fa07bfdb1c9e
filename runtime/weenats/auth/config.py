"""Settings of message-level authentication, which are validated when they are created."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretBytes,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from typing_extensions import override

from weenats._internal.hosts import is_loopback
from weenats._internal.urls import split_http
from weenats.auth.keys import SYMMETRIC, Algorithm, public_keys, secret_keys
from weenats.protocol.headers import TOKEN
from weenats.protocol.timeouts import Duration

__all__ = ["MAX_TEXT", "AuthConfig", "JwtAuthConfig", "NoAuthConfig", "in_seconds"]
MAX_TEXT: Final = 255
"""The length of the longest accepted `iss`, `sub` and principal claim."""
_RESERVED_HEADERS: Final = frozenset({
    *("accept-encoding", "connection", "content-encoding", "content-length", "expect", "host"),
    *("keep-alive", "range", "te", "trailer", "transfer-encoding", "upgrade"),
})  # fmt: skip
"""Headers that belong to the connection, or change what the response contains."""


def in_seconds(value: Duration) -> float:
    """Convert a duration to seconds.

    Args:
        value: seconds or a timedelta.
    """
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _secret(value: str | bytes | SecretStr | SecretBytes | None) -> SecretBytes | None:
    if isinstance(value, SecretStr | SecretBytes):
        value = value.get_secret_value()
    if value is None:
        return None
    return SecretBytes(value.encode() if isinstance(value, str) else value)


def _headers(value: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in value.items():
        if TOKEN.fullmatch(name) is None:
            raise ValueError("the name of a header has characters that HTTP does not allow")
        if not text.isascii() or not text.isprintable():
            raise ValueError(f"the header {name} has characters that are not printable ASCII")
        if name.lower() in _RESERVED_HEADERS:
            raise ValueError(f"the header {name} cannot be set")
    return dict(value)


_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[Sequence[_Name], AfterValidator(tuple)]
_Seconds = Annotated[Duration, AfterValidator(in_seconds)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        """Keep the input, which may be a secret, out of all forms of the error."""
        try:
            config = handler(value)
            config._check()
        except ValidationError as error:
            problems = [_problem(details["msg"], details["loc"]) for details in error.errors()]
        except ValueError as error:
            problems = [_problem(str(error))]
        else:
            return config
        raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)

    def _check(self) -> None:
        """Refuse settings that contradict each other."""


def _problem(message: str, location: tuple[int | str, ...] = ()) -> InitErrorDetails:
    text = message.removeprefix("Value error, ")
    error = PydanticCustomError("auth_config", "{text}", {"text": text})
    return InitErrorDetails(type=error, loc=location, input=None)


class NoAuthConfig(_Config):
    """Authentication is off: every caller is anonymous.

    Attributes:
        type: the kind of configuration, "none".
    """

    type: Literal["none"] = "none"


class JwtAuthConfig(_Config):
    """Authentication with signed JSON Web Tokens (RFC 7519).

    Exactly one of `public_key`, `jwks_uri` and `secret` must be set.

    Example:
        ```python
        from weenats import JwtAuthConfig

        auth = JwtAuthConfig(
            jwks_uri="https://issuer.example/.well-known/jwks.json",
            algorithms=["EdDSA", "ES256"],
            issuer="https://issuer.example",
            audience="receipts",
        )
        ```

    Attributes:
        type: the kind of configuration, "jwt".
        algorithms: accepted signature algorithms, at least one.
        public_key: public key of the issuer: PEM or JWK (JSON text or mapping).
        jwks_uri: URL of the issuer's key set (JWKS, RFC 7517), https.
        jwks_headers: headers of the request for the key set, such as `User-Agent` or an API key.
        secret: secret shared with the issuer, for the HMAC algorithms.
        issuer: required `iss` of tokens, exactly as they have it: a URL, a URN or a plain name.
            None accepts every issuer that has the key.
        audience: required `aud` of tokens; of several, tokens need one. None refuses tokens that
            have an `aud`.
        required: whether requests need a token, for operations whose contract does not specify it.
        leeway: allowed clock difference, seconds or timedelta, 0 to 600 s. Default: 30 s.
        required_claims: claims that tokens must have.
        principal_claim: claim that holds the id of the principal.
        token_types: accepted `typ` headers. None accepts `JWT`, `at+jwt` (RFC 9068) and a missing
            `typ`.
        max_lifetime: longest accepted lifetime of a token, from `iat` (from now if it has none) to
            `exp`, seconds or timedelta. None sets no limit. Default: 1 day.
        max_token_bytes: length of the longest accepted token, in bytes. Default: 8192.
        cache_ttl: how long a verified token is cached, seconds or timedelta, 0 (not at all) to
            60 s. Default: 60 s.
        cache_size: maximum number of cached tokens. Default: 10,000.
        plain_http_hosts: hosts, other than this machine, that `jwks_uri` may use without TLS.

    Raises:
        ValueError: settings are missing, contradict each other, or are not safe.
    """

    type: Literal["jwt"] = "jwt"
    algorithms: Annotated[Sequence[Algorithm], Field(min_length=1), AfterValidator(tuple)]
    public_key: str | bytes | Mapping[str, Any] | None = Field(default=None, repr=False)
    jwks_uri: str | None = Field(default=None, repr=False)
    jwks_headers: Annotated[Mapping[str, str], AfterValidator(_headers), Field(repr=False)] = {}
    secret: Annotated[
        str | bytes | SecretStr | SecretBytes | None, AfterValidator(_secret), Field(repr=False)
    ] = None
    issuer: str | None = None
    audience: _Name | Annotated[_Names, Field(min_length=1)] | None = None
    required: bool = True
    leeway: Annotated[_Seconds, Field(ge=0, le=600)] = 30.0
    required_claims: _Names = ("exp", "sub")
    principal_claim: _Name = "sub"
    token_types: Annotated[_Names, Field(min_length=1)] | None = None
    max_lifetime: Annotated[_Seconds, Field(gt=0, lt=math.inf)] | None = 86_400.0
    max_token_bytes: Annotated[int, Field(ge=1, le=1_048_576)] = 8192
    cache_ttl: Annotated[_Seconds, Field(ge=0, le=60)] = 60.0
    cache_size: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    plain_http_hosts: _Names = ()

    @override
    def _check(self) -> None:
        self._check_algorithms()
        if self.max_lifetime is not None and "exp" not in self.required_claims:
            raise ValueError("max_lifetime requires `exp` in required_claims; None sets no limit")
        if self.issuer is not None:
            _check_issuer(self.issuer)
        if self.jwks_headers and self.jwks_uri is None:
            raise ValueError("jwks_headers requires jwks_uri")
        if self.jwks_uri is not None:
            _check_jwks_uri(self.jwks_uri, self.plain_http_hosts)
        if self.public_key is not None:
            public_keys(self.public_key, self.algorithms)
        if self.secret is not None:
            secret_keys(self.secret_value, self.algorithms)

    def _check_algorithms(self) -> None:
        given = [self.public_key, self.jwks_uri, self.secret]
        if sum(setting is not None for setting in given) != 1:
            raise ValueError("exactly one of public_key, jwks_uri and secret must be set")
        symmetric = SYMMETRIC.intersection(self.algorithms)
        if symmetric and len(symmetric) != len(set(self.algorithms)):
            raise ValueError(
                "HMAC and other algorithms cannot be combined: tokens could be forged with the"
                " public key as secret"
            )
        if symmetric and self.secret is None:
            raise ValueError("HMAC algorithms require secret, not public keys")
        if self.secret is not None and not symmetric:
            raise ValueError("secret requires HMAC algorithms")

    @property
    def secret_value(self) -> bytes:
        """The secret, empty if there is none."""
        secret = cast("SecretBytes | None", self.secret)
        return b"" if secret is None else secret.get_secret_value()


AuthConfig = Annotated[NoAuthConfig | JwtAuthConfig, Field(discriminator="type")]
"""Any authentication configuration; `type` selects which one."""


def _check_issuer(issuer: str) -> None:
    """Refuse what no token can have as `iss`; RFC 7519 allows any string, not only URLs."""
    if not 0 < len(issuer) <= MAX_TEXT or not issuer.isprintable() or issuer != issuer.strip():
        raise ValueError(
            f"issuer must be 1 to {MAX_TEXT} printable characters without spaces around them"
        )


def _check_jwks_uri(uri: str, plain_http_hosts: Collection[str]) -> None:
    url = split_http(uri)
    if url is None or url.username is not None:
        raise ValueError("jwks_uri must be an https URL without user and fragment")
    host = url.hostname or ""
    allowed = is_loopback(host) or host in {name.lower() for name in plain_http_hosts}
    if url.scheme == "http" and not allowed:
        raise ValueError(
            "jwks_uri must use https: over plain http, an attacker can replace the keys; to allow"
            " it for this host, add the host to plain_http_hosts"
        )
