"""Settings of a service from environment variables; needs the extra `settings`."""

from __future__ import annotations

import os
from difflib import get_close_matches
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_core import PydanticUndefined

from weenats._internal.extras import check_installed
from weenats.auth import JwtAuthConfig
from weenats.errors import InvalidArgumentError
from weenats.service import NatsServiceBuilder
from weenats.service.health.settings import HealthSettings
from weenats.telemetry import TelemetrySettings
from weenats.transport import ConnectionOptions
from weenats.transport.credentials import is_secret
from weenats.transport.servers import check_servers
from weenats.transport.tls_files import TlsFiles

try:
    from pydantic_settings import BaseSettings, SettingsConfigDict
except ImportError:
    check_installed(
        "weenats.settings needs pydantic-settings: pip install 'weenats[settings]'",
        "pydantic_settings",
    )
    raise

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.service import ServiceHandlers

__all__ = ["EnvironmentSettings", "SettingsError", "Variable"]
_LOG: Final = getLogger("weenats.settings")
_PREFIX: Final = "WEENATS_"
_LOCAL: Final = "nats://localhost:4222"
_SIMILAR: Final = 0.85
_ALGORITHMS: Final = ("EdDSA", "ES256", "PS256", "RS256")
"""What issuers sign with, most of them with RS256; each public key is of one type."""


class SettingsError(ValueError):
    """An environment variable is invalid; the message names it, and does not show its value."""


class Variable(NamedTuple):
    """An environment variable.

    Attributes:
        name: its name.
        description: what it sets.
        default: the value without it, "" for none.
    """

    name: str
    description: str
    default: str


def _checked(check: Callable[[Any], object]) -> AfterValidator:
    """Return a validator for a check of the runtime, whose errors do not show the value."""

    def validate(value: Any) -> Any:  # noqa: ANN401 - the value of any field
        try:
            check(value)
        except (InvalidArgumentError, ImportError) as error:
            raise ValueError(getattr(error, "message", str(error))) from None
        return value

    return AfterValidator(validate)


def _check_path(path: Path) -> None:
    if is_secret(path):
        raise InvalidArgumentError("it is the path of a file, not what the file holds")


def _check_http(http: str | None) -> None:
    try:
        HealthSettings(http=http)
    except ValueError:
        text = "http is host and port, such as 0.0.0.0:8080"
        raise InvalidArgumentError(text) from None


_File = Annotated[Path, _checked(_check_path)]


class EnvironmentSettings(BaseSettings):
    """The settings of a service, read from environment variables when an object is created.

    The variable of an attribute is `WEENATS_` with its name, and that of `servers` is `NATS_URL`;
    empty variables count as not set. A subclass adds settings of your own; give them an `alias` for
    variables without the prefix. A variable that looks like one of these, but is none, is logged.

    Args:
        values: values of attributes, which take precedence over variables.

    Attributes:
        servers: the NATS servers, separated by commas; they may have passwords.
        user: the user of the connection; requires `password`.
        password: the password of the connection.
        auth_token: the token of the connection.
        credentials: the path of a .creds file for the connection.
        nkey_seed: the path of a file with an nkey seed for the connection.
        tls_ca: the path of a file with the certificates that servers must be signed by; servers
            without TLS are refused.
        tls_cert: the path of the certificate that the service shows to servers.
        tls_key: the path of the key of `tls_cert`. These files are read again for an attempt to
            connect when they have changed.
        inbox_prefix: the prefix of the subjects on which replies arrive.
        jwks_uri: the URL of the keys of the issuer of callers' tokens; without it callers are not
            authenticated.
        issuer: the required issuer of tokens; requires `jwks_uri`.
        audience: the required audience of tokens; by default the name of the service.
        max_concurrency: how many requests run at once, 1 to 1000.
        drain_timeout: how long a stop may take, in seconds.
        health_http: host and port of HTTP probes, such as 0.0.0.0:8080.
        exporter_url: an OTLP/HTTP receiver of spans and metrics.
        environment: the deployment environment in spans and metrics.
        log_json: whether to log JSON instead of text.

    Example:
        ```python
        settings = EnvironmentSettings()
        builder = settings.builder(Receipts()).with_health(http=settings.health_http)
        ```

    Raises:
        SettingsError: variables are invalid; the message names each one.
    """

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    servers: Annotated[
        SecretStr,
        _checked(lambda servers: check_servers(servers.get_secret_value())),
        Field(
            validation_alias="NATS_URL",
            description="the NATS servers, separated by commas",
        ),
    ] = SecretStr(_LOCAL)
    user: Annotated[str | None, Field(description="the user of the connection")] = None
    password: Annotated[SecretStr | None, Field(description="the password of the user")] = None
    auth_token: Annotated[
        SecretStr | None, Field(description="the token of the connection to NATS")
    ] = None
    credentials: Annotated[_File | None, Field(description="a .creds file for the connection")] = (
        None
    )
    nkey_seed: Annotated[
        _File | None, Field(description="a file with an nkey seed for the connection")
    ] = None
    tls_ca: Annotated[
        Path | None, Field(description="certificates that servers must be signed by")
    ] = None
    tls_cert: Annotated[Path | None, Field(description="the certificate of the service")] = None
    tls_key: Annotated[Path | None, Field(description="the key of the certificate")] = None
    inbox_prefix: Annotated[
        str,
        _checked(lambda prefix: ConnectionOptions(inbox_prefix=prefix)),
        Field(description="the prefix of the subjects on which replies arrive"),
    ] = ConnectionOptions().inbox_prefix
    jwks_uri: Annotated[
        str | None,
        Field(repr=False, description="the keys of the issuer of tokens; turns authentication on"),
    ] = None
    issuer: Annotated[str | None, Field(description="the required issuer of tokens")] = None
    audience: Annotated[
        str | None, Field(description="the required audience of tokens (the service's name)")
    ] = None
    max_concurrency: Annotated[
        int | None, Field(ge=1, le=1000, description="requests that run at once, 1 to 1000")
    ] = None
    drain_timeout: Annotated[
        float | None, Field(gt=0, allow_inf_nan=False, description="seconds that a stop may take")
    ] = None
    health_http: Annotated[
        str | None,
        _checked(_check_http),
        Field(description="host:port of the HTTP probes /livez and /readyz"),
    ] = None
    exporter_url: Annotated[
        str | None,
        _checked(lambda url: url and TelemetrySettings(exporter_url=url)),
        Field(repr=False, description="an OTLP/HTTP receiver of spans and metrics"),
    ] = None
    environment: Annotated[
        str | None,
        _checked(lambda name: name and TelemetrySettings(environment=name)),
        Field(description="the deployment environment in spans and metrics"),
    ] = None
    log_json: Annotated[bool, Field(description="log JSON instead of text")] = False

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - the values of attributes
        try:
            super().__init__(**values)
        except ValidationError as error:
            problems = _described(type(self), error)
        else:
            _warn_of_misspelled([each.name for each in self.variables()])
            return
        raise SettingsError(problems)  # not chained to the error, which has the values

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Check settings that belong together, and those that exclude one another."""
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        for name, other in (
            ("user", "password"),
            ("password", "user"),
            ("tls_cert", "tls_key"),
            ("tls_key", "tls_cert"),
            ("issuer", "jwks_uri"),
            ("audience", "jwks_uri"),
        ):
            if name in given and other not in given:
                raise ValueError(f"{self._variable(name)} requires {self._variable(other)}")
        kinds = sorted(given & {"user", "auth_token", "credentials", "nkey_seed"})
        if len(kinds) > 1 and kinds != ["auth_token", "credentials"]:
            names = " and ".join(map(self._variable, kinds))
            raise ValueError(f"{names} exclude one another: a connection has one identity")
        return self

    @classmethod
    def variables(cls) -> tuple[Variable, ...]:
        """Return all variables, for a help text."""
        return tuple(
            Variable(
                cls._variable(name),
                field.description or "",
                "" if field.default in {None, PydanticUndefined} else _shown(field.default),
            )
            for name, field in cls.model_fields.items()
        )

    def connection(self, name: str | None = None) -> ConnectionOptions:
        """Return how to connect to the servers.

        Args:
            name: the name of the connection.

        Raises:
            SettingsError: a file of certificates cannot be used.
            ImportError: there are credentials or a seed, without the extra `nkeys`.
        """
        return ConnectionOptions(
            name=name,
            user=self.user,
            password=_secret(self.password),
            auth_token=_secret(self.auth_token),
            credentials=self.credentials,
            nkey_seed=self.nkey_seed,
            tls=self._tls(),
            inbox_prefix=self.inbox_prefix,
        )

    def builder(self, handlers: ServiceHandlers) -> NatsServiceBuilder:
        """Return a builder with all settings except `health_http`.

        Authentication comes before what you add to the builder. Pass `health_http` to its
        `with_health`.

        Args:
            handlers: the handlers of the service.

        Raises:
            SettingsError: a file of certificates, or the configuration of tokens, cannot be used.
            ImportError: an extra is missing; the message says which.
        """
        name = handlers.contract.name
        builder = NatsServiceBuilder(
            handlers, self.servers.get_secret_value(), connection=self.connection(name)
        )
        auth = self.authentication(name)
        if auth is not None:
            builder = builder.with_auth(auth)
        if self.max_concurrency is not None:
            builder = builder.with_queue_group(name, max_concurrency=self.max_concurrency)
        if self.exporter_url is not None or self.environment is not None:
            builder = builder.with_telemetry(
                exporter_url=self.exporter_url, environment=self.environment
            )
        if self.drain_timeout is not None:
            builder = builder.with_drain_timeout(self.drain_timeout)
        return builder

    def authentication(self, audience: str) -> JwtAuthConfig | None:
        """Return how callers are authenticated, None without `jwks_uri`.

        Args:
            audience: the required audience of tokens, if `audience` is not set.

        Raises:
            SettingsError: the settings are not safe, such as a `jwks_uri` without TLS.
        """
        if self.jwks_uri is None:
            return None
        try:
            return JwtAuthConfig(
                jwks_uri=self.jwks_uri,
                algorithms=_ALGORITHMS,
                issuer=self.issuer,
                audience=self.audience or audience,
            )
        except ValidationError as error:
            reasons = "; ".join(each["msg"] for each in error.errors(include_input=False))
        raise SettingsError(f"{self._variable('jwks_uri')}: {reasons}")

    def _tls(self) -> TlsFiles | None:
        if self.tls_ca is None and self.tls_cert is None:
            return None
        name = "tls_ca"
        try:
            TlsFiles(self.tls_ca, None, None)
            name = "tls_cert"
            return TlsFiles(self.tls_ca, self.tls_cert, self.tls_key)
        except OSError as error:
            reason = error.strerror or "it cannot be read"
        raise SettingsError(f"{self._variable(name)}: {reason}")

    @classmethod
    def _variable(cls, name: str) -> str:
        """Return the variable of an attribute."""
        field = cls.model_fields.get(name)
        alias = None if field is None else field.validation_alias
        prefix = cls.model_config.get("env_prefix", "")
        return alias if isinstance(alias, str) else f"{prefix}{name}".upper()


def _described(settings: type[EnvironmentSettings], error: ValidationError) -> str:
    """Return which variables are invalid, and why, without their values."""
    lines: list[str] = []
    for each in error.errors(include_url=False, include_input=False, include_context=False):
        reason = each["msg"].removeprefix("Value error, ")
        names = {field.validation_alias: name for name, field in settings.model_fields.items()}
        where = str(each["loc"][0]) if each["loc"] else ""
        name = settings._variable(names.get(where) or where) if where else ""  # pyright: ignore[reportPrivateUsage]
        lines.append(f"{name}: {reason}" if name else reason)
    return "; ".join(lines)


def _warn_of_misspelled(names: list[str]) -> None:
    """Log variables that look like known ones which are not set, such as WEENATS_JWKS_URL.

    Args:
        names: the known variables.
    """
    given = {name.upper(): name for name in os.environ}  # settings are read in either case
    known = {name.upper() for name in names}
    for upper, name in sorted(given.items()):
        if upper in known or not upper.startswith(_PREFIX):
            continue
        if meant := get_close_matches(upper, known - given.keys(), n=1, cutoff=_SIMILAR):
            _LOG.warning("%s is not a setting and has no effect: did you mean %s?", name, meant[0])


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _shown(default: object) -> str:
    return _LOCAL if isinstance(default, SecretStr) else str(default)
