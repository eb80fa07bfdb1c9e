"""How a service learns who calls it. What cannot be right is refused when it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

from weenats.auth.keys import SYMMETRIC, Algorithm, public_keys, secret_keys
from weenats.auth.urls import check_issuer, check_jwks_uri
from weenats.protocol.deadline import Duration  # noqa: TC001 - pydantic reads it

_DAY: Final = 86_400.0
_MAX_LEEWAY: Final = 600.0
_MAX_CACHE_TTL: Final = 60.0


def in_seconds(value: Duration) -> float:
    """Return a duration of the configuration in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def _leeway(value: Duration) -> float:
    seconds = in_seconds(value)
    if not 0 <= seconds <= _MAX_LEEWAY:
        raise ValueError("it is from 0 to 600 seconds")
    return seconds


def _cache_ttl(value: Duration) -> float:
    seconds = in_seconds(value)
    if not 0 <= seconds <= _MAX_CACHE_TTL:
        raise ValueError("it is from 0 to 60 seconds")
    return seconds


def _lifetime(value: Duration | None) -> float | None:
    if value is None:
        return None
    seconds = in_seconds(value)
    if not 0 < seconds < float("inf"):
        raise ValueError("it is a positive duration, or None")
    return seconds


def _names(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _audience(value: str | Sequence[str] | None) -> str | tuple[str, ...] | None:
    return value if value is None or isinstance(value, str) else tuple(value)


def _secret(value: str | bytes | SecretStr | SecretBytes | None) -> SecretBytes | None:
    if isinstance(value, SecretStr | SecretBytes):
        value = value.get_secret_value()
    if value is None:
        return None
    return SecretBytes(value.encode() if isinstance(value, str) else value)


_Name = Annotated[str, Field(min_length=1)]
_Names = Annotated[Sequence[_Name], AfterValidator(_names)]


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401
        """Keep what was given out of the error, in all its forms: it may be a secret."""
        try:
            config = handler(value)
            config._check()
        except ValidationError as error:
            faults = [_fault(details["msg"], details["loc"]) for details in error.errors()]
        except ValueError as error:
            faults = [_fault(str(error))]
        else:
            return config
        raise ValidationError.from_exception_data(cls.__name__, faults, hide_input=True)

    def _check(self) -> None:
        """Refuse settings that do not go together."""


def _fault(text: str, place: tuple[int | str, ...] = ()) -> InitErrorDetails:
    told = PydanticCustomError(
        "auth_config", "{text}", {"text": text.removeprefix("Value error, ")}
    )
    return InitErrorDetails(type=told, loc=place, input=None)


class NoAuthConfig(_Config):
    """Nobody is asked who they are."""

    type: Literal["none"] = "none"


class JwtAuthConfig(_Config):
    """Callers prove who they are with a signed JSON Web Token.

    Attributes:
        type: tells the kind of configuration.
        algorithms: the signature algorithms that are taken, at least one.
        public_key: the issuer's public key, PEM or JWK (as JSON text or mapping).
        jwks_uri: where the issuer publishes its keys, https.
        secret: the secret shared with the issuer, for the HMAC algorithms.
        issuer: the `iss` that tokens must have, None lets any issuer pass that has the key.
        audience: the `aud` that tokens must have, one of them when there are several. None refuses
            tokens that are meant for somebody.
        required: whether callers must send a token, where the contract does not say.
        leeway: how far clocks may be apart, up to 600 seconds.
        required_claims: the claims that tokens must have.
        principal_claim: the claim that says who it is.
        token_types: the `typ` headers that are taken. None takes `JWT`, `at+jwt` and none at all.
        max_lifetime: how long tokens may live, from `iat` (or now) to `exp`; a day. None lets them
            live for ever.
        max_token_bytes: the longest token that is looked at.
        cache_ttl: how long a verified token is remembered, up to 60 seconds; 0 verifies each time.
        cache_size: how many verified tokens are remembered.
        plain_http_hosts: hosts that `jwks_uri` may reach without TLS, beside this machine.

    Raises:
        ValueError: settings are missing, contradict each other, or are not safe.
    """

    type: Literal["jwt"] = "jwt"
    algorithms: Annotated[Sequence[Algorithm], Field(min_length=1), AfterValidator(_names)]
    public_key: str | bytes | Mapping[str, Any] | None = Field(default=None, repr=False)
    jwks_uri: str | None = Field(default=None, repr=False)
    secret: Annotated[
        str | bytes | SecretStr | SecretBytes | None, AfterValidator(_secret), Field(repr=False)
    ] = None
    issuer: str | None = None
    audience: Annotated[
        _Name | Annotated[Sequence[_Name], Field(min_length=1)] | None, AfterValidator(_audience)
    ] = None
    required: bool = True
    leeway: Annotated[Duration, AfterValidator(_leeway)] = 30.0
    required_claims: _Names = ("exp", "sub")
    principal_claim: _Name = "sub"
    token_types: Annotated[
        Annotated[Sequence[_Name], Field(min_length=1)] | None, AfterValidator(_names)
    ] = None
    max_lifetime: Annotated[Duration | None, AfterValidator(_lifetime)] = _DAY
    max_token_bytes: Annotated[int, Field(ge=1, le=1_048_576)] = 8192
    cache_ttl: Annotated[Duration, AfterValidator(_cache_ttl)] = 60.0
    cache_size: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    plain_http_hosts: _Names = ()

    @override
    def _check(self) -> None:
        given = [self.public_key, self.jwks_uri, self.secret]
        if sum(setting is not None for setting in given) != 1:
            raise ValueError("exactly one of public_key, jwks_uri and secret is given")
        symmetric = SYMMETRIC.intersection(self.algorithms)
        if symmetric and len(symmetric) != len(set(self.algorithms)):
            raise ValueError("HMAC algorithms cannot stand beside others: forging would be easy")
        if symmetric and self.secret is None:
            raise ValueError("HMAC algorithms go with secret, never with public keys")
        if self.secret is not None and not symmetric:
            raise ValueError("secret goes with HMAC algorithms")
        if self.max_lifetime is not None and "exp" not in self.required_claims:
            raise ValueError("max_lifetime needs exp among required_claims; None does without")
        if self.issuer is not None:
            check_issuer(self.issuer)
        if self.jwks_uri is not None:
            check_jwks_uri(self.jwks_uri, self.plain_http_hosts)
        if self.public_key is not None:
            public_keys(self.public_key, self.algorithms)
        if self.secret is not None:
            secret_keys(self.secret_value, self.algorithms)

    @property
    def secret_value(self) -> bytes:
        """The secret; empty when there is none."""
        secret = cast("SecretBytes | None", self.secret)
        return b"" if secret is None else secret.get_secret_value()


AuthConfig = Annotated[NoAuthConfig | JwtAuthConfig, Field(discriminator="type")]
"""How a service learns who calls it, told apart by `type`."""
