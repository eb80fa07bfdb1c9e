"""The settings that apply to each operation, and what set them: default, contract or builder."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from weenats.contract import AnyOperation, Command
from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.protocol.subjects import Kind
from weenats.protocol.timeouts import DEFAULT_TIMEOUT
from weenats.schema.part import Schema, judge_of
from weenats.service.chain import Host, build_chain
from weenats.service.settings import ServiceSettings
from weenats.telemetry.manager import TelemetryManager
from weenats.telemetry.settings import TelemetrySettings

__all__ = ["OperationPolicy", "Setting", "explain_operations"]
_DEFAULT: Final = "default"
_CONTRACT: Final = "contract"
_OPTIONAL: Final = ("authentication", "rate limit", "circuit breaker", "telemetry")
"""Features that are shown even when they are off."""
_ORDER: Final = (
    *("authentication", "scopes", "rate limit", "additional rate limit"),
    *("circuit breaker", "retries", "telemetry"),
)
"""The order of the settings; settings of other features follow."""


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """The settings that apply to one operation.

    Attributes:
        operation: the label of the operation: its name, or as `receipt.get`.
        kind: "command" or "query".
        subject: the subject that it is served on.
        settings: the settings.
    """

    operation: str
    kind: str
    subject: str
    settings: tuple[Setting, ...]


def explain_operations(
    operations: Sequence[AnyOperation], settings: ServiceSettings
) -> tuple[OperationPolicy, ...]:
    """Return the settings that apply to each operation of a service.

    Args:
        operations: the operations.
        settings: the settings of the service.
    """
    telemetry = TelemetryManager(settings.telemetry or TelemetrySettings())
    host = Host(operations, telemetry=telemetry)
    build_chain(settings.members, host)
    return tuple(
        OperationPolicy(
            operation.label,
            operation.kind.value,
            operation.subject,
            tuple(_settings(operation, settings, host)),
        )
        for operation in operations
    )


def _settings(operation: AnyOperation, settings: ServiceSettings, host: Host) -> Iterator[Setting]:
    yield from _deprecation(operation)
    yield from _admission(operation, settings)
    yield _timeout(operation)
    yield _instances(operation)
    yield _judged(operation)
    interceptors = [each.name for each in _described(operation, host.added)]
    yield Setting("interceptors", [*interceptors], "builder" if interceptors else _DEFAULT)
    shown = [each for one in _described(operation, host.chain) for each in one.settings]
    names = {each.name for each in shown}
    shown += [Setting(name, None, _DEFAULT) for name in _OPTIONAL if name not in names]
    shown.append(_retries(operation))
    yield from sorted(shown, key=lambda each: (*_ORDER, each.name).index(each.name))
    yield from _background(settings)


def _described(
    operation: AnyOperation, features: Iterable[ServiceFeature]
) -> Iterator[Description]:
    for feature in features:
        if (description := feature.describe(operation)) is not None:
            yield description


def _deprecation(operation: AnyOperation) -> Iterator[Setting]:
    """Yield what the contract deprecates, nothing where it deprecates nothing."""
    if operation.deprecated:
        yield Setting("deprecated", value=True, source=_CONTRACT)
    events = operation.emits if isinstance(operation, Command) else ()
    if names := [event.name for event in events if event.deprecated]:
        yield Setting("deprecated events", [*names], _CONTRACT)


def _admission(operation: AnyOperation, settings: ServiceSettings) -> Iterator[Setting]:
    group = settings.queue_group
    is_set = group != operation.contract.name
    yield Setting("queue group", group, "with_queue_group" if is_set else _DEFAULT)
    for name in ("max_concurrency", "max_queue", "max_queue_time", "self_eject", "drain_timeout"):
        value = settings.max_waiting if name == "max_queue" else getattr(settings, name)
        method = "with_drain_timeout" if name == "drain_timeout" else "with_queue_group"
        source = _DEFAULT if settings.is_default(name) else method
        yield Setting(name.replace("_", " "), value, source)


def _timeout(operation: AnyOperation) -> Setting:
    if operation.timeout is None:
        return Setting("timeout", DEFAULT_TIMEOUT, _DEFAULT)
    return Setting("timeout", operation.timeout, _CONTRACT)


def _instances(operation: AnyOperation) -> Setting:
    """Return whether clients can call it on all instances."""
    source = _CONTRACT if operation.kind is Kind.COMMAND and operation.idempotent else _DEFAULT
    return Setting("calls of all instances", operation.for_instances, source)


def _judged(operation: AnyOperation) -> Setting:
    """Return the parts whose types do not enforce their schemas, and the keywords of these."""
    judges = [(name, judge_of(part)) for name, part in _parts(operation)]
    judged = [
        f"{name} ({', '.join(judge.reasons)})" if judge.reasons else name
        for name, judge in judges
        if judge is not None
    ]
    return Setting("checked by JSON Schema", [*judged], _CONTRACT if judged else _DEFAULT)


def _parts(operation: AnyOperation) -> Iterator[tuple[str, type[Any] | Schema[Any]]]:
    """Yield what the messages of an operation consist of, with names for people."""
    if operation.aggregate is not None:
        yield "key", operation.aggregate.key
    yield "payload", operation.payload
    yield "result", operation.result
    if isinstance(operation, Command):
        yield from ((f"data of {event.name}", event.data) for event in operation.emits)
    for error in operation.errors:
        if error.details_type is not None:
            yield f"details of {error.__name__}", error.details_type


def _retries(operation: AnyOperation) -> Setting:
    usual = operation.kind is Kind.QUERY
    source = _DEFAULT if operation.may_be_retried == usual else _CONTRACT
    reason = "is idempotent" if operation.idempotent else "answers repeats with its first reply"
    value = f"allowed to clients, as it {reason}" if operation.may_be_retried else "never"
    return Setting("retries", value, source)


def _background(settings: ServiceSettings) -> Iterator[Setting]:
    if settings.health is not None:
        checks = [each["name"] for each in settings.health.checks]
        yield Setting("health checks", [*checks], "with_health")
        if settings.health.http is not None:
            yield Setting("health probes", settings.health.http, "with_health")
    if settings.monitoring is not None:
        value = f"every {settings.monitoring.interval:g} s"
        yield Setting("monitoring", value, "with_monitoring")
