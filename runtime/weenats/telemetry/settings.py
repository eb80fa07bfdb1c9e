"""The settings of telemetry: sampling, attributes of spans, and the exporter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict, cast, get_args
from urllib.parse import unquote

from weenats._internal.urls import split_http
from weenats.protocol.subjects import Kind

__all__ = [
    "DEFAULT_SAMPLING",
    "Level",
    "PrincipalMode",
    "Sampling",
    "TelemetrySettings",
    "check_principal_mode",
    "shown_principal",
]
Level = Literal["full", "standard", "minimal"]
"""Which attributes spans have, see TelemetrySettings."""
PrincipalMode = Literal["plain", "hashed", "none"]
"""How spans and logs show the caller."""

_MAX_ENVIRONMENT: Final = 255
_ENVIRONMENT_NAMES: Final = ("deployment.environment.name", "deployment.environment")
"""The attribute of the environment, and its name in older semantic conventions."""


class Sampling(TypedDict, total=False):
    """The share of new traces that is recorded, 0 to 1, by the kind of their first message.

    A message that belongs to a trace is recorded if the trace is.

    Attributes:
        commands: The share of traces that begin with a command.
        queries: The share of traces that begin with a query.
        events: The share of traces that begin with an event.
    """

    commands: float
    queries: float
    events: float


DEFAULT_SAMPLING: Final[Mapping[str, float]] = MappingProxyType(
    {"commands": 1.0, "queries": 0.5, "events": 0.1}
)
_KINDS: Final = {Kind.COMMAND: "commands", Kind.QUERY: "queries", Kind.EVENT: "events"}


def _is_environment(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _MAX_ENVIRONMENT and text.isprintable()


def _default_environment() -> str:
    """Return the valid environment that OTEL_RESOURCE_ATTRIBUTES names, else "development"."""
    pairs = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")
    attributes = {
        name.strip(): value.strip() for name, _, value in (pair.partition("=") for pair in pairs)
    }
    named = [unquote(attributes[name]) for name in _ENVIRONMENT_NAMES if attributes.get(name)]
    return next(filter(_is_environment, named), "development")


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """The settings of telemetry.

    Attributes:
        sampling: the share of new traces that is recorded, see Sampling; 1 for commands, 0.5 for
            queries and 0.1 for events if not set.
        environment: `deployment.environment.name`; if not set, that of OTEL_RESOURCE_ATTRIBUTES,
            else "development".
        exporter_url: the base URL of an OTLP/HTTP receiver, for which the service has its own
            OpenTelemetry providers; None: the application's providers are used.
        attributes: "minimal": the call and its outcome; "standard": also ids, the caller and what
            features decided; "full": also sizes and the names of older conventions.
        principal: how spans show the caller: "plain", "hashed" (SHA-256) or "none".

    Raises:
        ValueError: a value is out of bounds.
        TypeError: `sampling` is not a mapping.
    """

    sampling: Mapping[str, float] = field(default_factory=lambda: DEFAULT_SAMPLING, hash=False)
    environment: str = field(default_factory=_default_environment)
    exporter_url: str | None = field(default=None, repr=False)  # it may have a password
    attributes: Level = "standard"
    principal: PrincipalMode = "plain"

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled, and the constructor makes it anew.
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return partial(type(self), **{**values, "sampling": dict(self.sampling)}), ()

    def __post_init__(self) -> None:
        sampling = {**DEFAULT_SAMPLING, **_checked(self.sampling)}
        object.__setattr__(self, "sampling", MappingProxyType(sampling))
        if self.attributes not in get_args(Level):
            raise ValueError(f"attributes is one of {get_args(Level)}, not {self.attributes!r}")
        check_principal_mode(self.principal)
        if not _is_environment(self.environment):
            raise ValueError("environment must be 1 to 255 printable characters")
        if self.exporter_url is not None and not _is_base(self.exporter_url):
            raise ValueError(
                "exporter_url is the base URL of a receiver: http or https, without /v1/traces,"
                " query and fragment"
            )

    def share(self, kind: Kind) -> float:
        """Return the share of new traces that is recorded.

        Args:
            kind: the kind of the first message of a trace.
        """
        return self.sampling[_KINDS[kind]]


def check_principal_mode(mode: str) -> None:
    """Check a mode in which the caller is shown.

    Args:
        mode: a PrincipalMode.

    Raises:
        ValueError: the mode is unknown.
    """
    if mode not in get_args(PrincipalMode):
        raise ValueError(f"principal is one of {get_args(PrincipalMode)}, not {mode!r}")


def shown_principal(identity: str, mode: PrincipalMode) -> str | None:
    """Return the id of a principal as spans and logs show it, None when they do not show it.

    Args:
        identity: the id.
        mode: how they show it.
    """
    if mode == "plain":
        return identity
    return sha256(identity.encode("utf-8", "replace")).hexdigest() if mode == "hashed" else None


def _checked(given: object) -> Mapping[str, float]:
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise TypeError(f"sampling is a dictionary by commands, queries and events, not {kind}")
    sampling = cast("Mapping[str, float]", given)
    for kind, share in sampling.items():
        if kind not in _KINDS.values():
            raise ValueError(f"sampling has the keys commands, queries and events, not {kind!r}")
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"the sampling of {kind} must be from 0 to 1, not {share!r}")
    return sampling


def _is_base(text: str) -> bool:
    """Return whether a text is the URL of a receiver, not that of one of its signals."""
    url = split_http(text)
    is_signal = url and url.path.rstrip("/").endswith(("/v1/traces", "/v1/metrics"))
    return url is not None and not is_signal and not url.query
