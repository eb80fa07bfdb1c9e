"""What holds for each operation of a service, and who said so: default, contract or builder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from weenats.protocol.subjects import Kind
from weenats.rate_limit import RateLimitSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from weenats.contract import AnyOperation, RateLimit
    from weenats.service.settings import ServiceSettings

DEFAULT: Final = "default"
CONTRACT: Final = "contract"
DEFAULT_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that holds.

    Attributes:
        name: what it is about.
        value: what holds; durations in seconds, None for nothing.
        source: `default`, `contract`, or the method of the builder that said so.
    """

    name: str
    value: JsonValue
    source: str


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """All that holds for one operation.

    Attributes:
        operation: its name.
        kind: command or query.
        subject: where it is served.
        settings: what holds, in the order in which a request meets it.
    """

    operation: str
    kind: str
    subject: str
    settings: tuple[Setting, ...]


def policy_of(operation: AnyOperation, settings: ServiceSettings) -> OperationPolicy:
    """Return what holds for an operation of a service with these settings."""
    return OperationPolicy(
        operation.name, operation.kind.value, operation.subject, tuple(_all(operation, settings))
    )


def _all(operation: AnyOperation, settings: ServiceSettings) -> Iterator[Setting]:
    yield from _admission(operation, settings)
    yield _timeout(operation)
    chain: JsonValue = [_shown(each) for each in settings.interceptors]
    yield Setting("interceptors", chain, "builder" if settings.interceptors else DEFAULT)
    yield from _authentication(operation, settings)
    yield from _rate_limits(operation, settings)
    yield _breaker(settings)
    yield _retries(operation)
    yield from _observation(settings)


def _admission(operation: AnyOperation, settings: ServiceSettings) -> Iterator[Setting]:
    group, source = settings.queue_group, "with_queue_group"
    given = group != operation.contract.name
    yield Setting("queue group", group, source if given else DEFAULT)
    for name in ("max_concurrency", "max_queue", "max_queue_time", "self_eject", "drain_timeout"):
        value: JsonValue = getattr(settings, name)
        is_default = settings.is_default(name)
        if name == "max_queue" and value is None:
            value = settings.max_waiting
        said = "with_drain_timeout" if name == "drain_timeout" else source
        yield Setting(name.replace("_", " "), value, DEFAULT if is_default else said)


def _timeout(operation: AnyOperation) -> Setting:
    if operation.timeout is None:
        return Setting("timeout", DEFAULT_TIMEOUT, DEFAULT)
    return Setting("timeout", operation.timeout, CONTRACT)


def _authentication(operation: AnyOperation, settings: ServiceSettings) -> Iterator[Setting]:
    auth = settings.auth
    if auth is None:
        yield Setting("authentication", None, DEFAULT)
        return
    by_contract = operation.auth is not None
    required = auth.required if operation.auth is None else operation.auth.required
    told = f"{auth.method}, {'required' if required else 'optional'}"
    yield Setting("authentication", told, CONTRACT if by_contract else "with_auth")
    if operation.auth is not None and operation.auth.scopes:
        yield Setting("scopes", list(operation.auth.scopes), CONTRACT)


def _rate_limits(operation: AnyOperation, settings: ServiceSettings) -> Iterator[Setting]:
    whole = settings.rate_limit
    if whole is not None:
        yield Setting("rate limit", _limit(whole.limit, whole), "with_rate_limit")
    if operation.rate_limit is not None:
        name = "rate limit" if whole is None else "rate limit besides"
        yield Setting(name, _limit(operation.rate_limit, whole), CONTRACT)
    elif whole is None:
        yield Setting("rate limit", None, DEFAULT)


def _limit(limit: RateLimit, settings: RateLimitSettings | None) -> str:
    whose = "of all callers" if settings is None or not settings.is_keyed else "of each caller"
    return f"{limit.max_requests_per_second:g} a second, {limit.capacity:g} at once, {whose}"


def _breaker(settings: ServiceSettings) -> Setting:
    policy = settings.circuit_breaker
    if policy is None:
        return Setting("circuit breaker", None, DEFAULT)
    told = (
        f"{policy.failure_threshold} failures in {policy.monitoring_window:g} s open it for"
        f" {policy.recovery_timeout:g} s, {policy.half_open_max_calls} tried, one for each"
        f" {policy.scope}"
    )
    return Setting("circuit breaker", told, "with_circuit_breaker")


def _retries(operation: AnyOperation) -> Setting:
    usual = operation.kind is Kind.QUERY
    source = DEFAULT if operation.idempotent == usual else CONTRACT
    told = "allowed to clients, as it is idempotent" if operation.idempotent else "never"
    return Setting("retries", told, source)


def _observation(settings: ServiceSettings) -> Iterator[Setting]:
    telemetry, health, monitoring = settings.telemetry, settings.health, settings.monitoring
    told: JsonValue = None
    if telemetry is not None:
        shares = ", ".join(f"{name} {share:g}" for name, share in telemetry.sampling.items())
        told = f"{telemetry.attributes} attributes, sampling {shares}"
    yield Setting("telemetry", told, DEFAULT if telemetry is None else "with_telemetry")
    if health is not None:
        checks: JsonValue = [each["name"] for each in health.checks]
        yield Setting("health checks", checks, "with_health")
    if monitoring is not None:
        told = f"every {monitoring.interval:g} s"
        yield Setting("monitoring", told, "with_monitoring")


def _shown(interceptor: object) -> str:
    if isinstance(interceptor, RateLimitSettings):
        return "rate limit"
    name = getattr(interceptor, "__name__", None) or type(interceptor).__name__
    return "authentication" if name == "AuthInterceptor" else str(name)
