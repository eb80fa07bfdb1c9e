"""What is collected: how much of it, of how many calls, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypedDict, get_args
from urllib.parse import urlsplit

from weenats.protocol.subjects import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

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
"""How many attributes spans have."""
PrincipalMode = Literal["plain", "hashed", "none"]
"""How spans and logs name the principal."""

_MAX_ENVIRONMENT: Final = 255


class Sampling(TypedDict, total=False):
    """Which share of traces that begin here is recorded, 0 to 1.

    A message that belongs to a trace already follows it, sampled or not.
    """

    commands: float
    queries: float
    events: float


DEFAULT_SAMPLING: Final[Mapping[str, float]] = MappingProxyType(
    {"commands": 1.0, "queries": 0.5, "events": 0.1}
)
_KINDS: Final = {Kind.COMMAND: "commands", Kind.QUERY: "queries", Kind.EVENT: "events"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """How telemetry is collected.

    Attributes:
        sampling: by kind of message, the share of traces begun here that is recorded.
        environment: `deployment.environment.name`.
        exporter_url: the base URL of an OTLP/HTTP receiver, with a provider of its own; None leaves
            spans and metrics to the application's provider.
        attributes: minimal names the call and its outcome; standard adds ids, who called and what
            the features decided; full adds sizes and the names of older conventions.
        principal: whether spans and logs name who calls plainly, by a digest, or not at all.

    Raises:
        ValueError: a value is out of bounds.
    """

    sampling: Mapping[str, float] = field(default_factory=lambda: DEFAULT_SAMPLING, hash=False)
    environment: str = "development"
    exporter_url: str | None = None
    attributes: Level = "standard"
    principal: PrincipalMode = "plain"

    def __post_init__(self) -> None:
        sampling = {**DEFAULT_SAMPLING, **_checked(self.sampling)}
        object.__setattr__(self, "sampling", MappingProxyType(sampling))
        if self.attributes not in get_args(Level):
            raise ValueError(f"attributes is one of {get_args(Level)}, not {self.attributes!r}")
        check_principal_mode(self.principal)
        if not 0 < len(self.environment) <= _MAX_ENVIRONMENT or not self.environment.isprintable():
            raise ValueError("environment is 1 to 255 printable characters")
        if self.exporter_url is not None and not _is_http(self.exporter_url):
            raise ValueError("exporter_url is an http or https URL without query and fragment")

    def share(self, kind: Kind) -> float:
        """Return the share of traces that is recorded of those that begin with such a message."""
        return self.sampling[_KINDS[kind]]


def check_principal_mode(mode: str) -> None:
    """Raise ValueError when there is no such way to name the principal."""
    if mode not in get_args(PrincipalMode):
        raise ValueError(f"principal is one of {get_args(PrincipalMode)}, not {mode!r}")


def shown_principal(identity: str, mode: PrincipalMode) -> str | None:
    """Return a principal's id as spans and logs may show it, None when they may not."""
    if mode == "plain":
        return identity
    return sha256(identity.encode("utf-8", "replace")).hexdigest() if mode == "hashed" else None


def _checked(sampling: Mapping[str, float]) -> Mapping[str, float]:
    for kind, share in sampling.items():
        if kind not in _KINDS.values():
            raise ValueError(f"sampling knows commands, queries and events, not {kind!r}")
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"the sampling of {kind} is a number from 0 to 1, not {share!r}")
    return sampling


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_base = not parts.query and not parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_base
