"""Discovery per ADR-32 revision 6, both ends.

Services answer PING, INFO and STATS, callers ask for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import MISSING, JsonValue
from pydantic_core import to_json

from weenats.codec import decode_model
from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol import subjects
from weenats.protocol.messages import (
    EndpointInfo,
    EndpointStats,
    HealthCheck,
    HealthCheckData,
    HealthCheckEntry,
    InfoResponse,
    PingResponse,
    StatsResponse,
)

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.transport.base import Delivery, Subscription, Transport

__all__ = [
    "check_health",
    "get_service_info",
    "get_service_stats",
    "list_instances",
    "list_stats",
]
_QUIET: Final = 0.15
ModelT = TypeVar("ModelT", bound=Model)
InstanceT = TypeVar("InstanceT", PingResponse, StatsResponse)
Telling = Mapping[str, Callable[[], JsonValue]]
"""What tells the members of `data` in STATS, as they are when somebody asks; it does not raise."""


@dataclass(slots=True)
class EndpointCounters:
    """What one endpoint of one instance has done.

    Errors of any kind count, their text is not kept.
    """

    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing_time: int = 0
    """Nanoseconds."""
    on_duration: Callable[[int], None] | None = None
    """Takes the nanoseconds of each request that was run."""

    def count(self, nanoseconds: int, error: ServiceError | None) -> None:
        """Count one request; refused ones have run for 0 ns."""
        self.requests += 1
        self.processing_time += nanoseconds
        if self.on_duration is not None and nanoseconds:
            self.on_duration(nanoseconds)
        if error is not None:
            self.errors += 1
            self.last_error = error.label


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDescription:
    """One endpoint as discovery tells of it."""

    name: str
    subject: str
    queue_group: str
    metadata: dict[str, str]
    counters: EndpointCounters = field(default_factory=EndpointCounters)
    data: Telling = field(default_factory=dict[str, Callable[[], JsonValue]])


@dataclass(slots=True, kw_only=True)
class Instance:
    """One running service as discovery tells of it."""

    contract: ServiceContract
    instance_id: str
    endpoints: Sequence[EndpointDescription]
    serving: Callable[[], bool]
    checks: Callable[[], list[HealthCheckEntry]] = list
    data: Telling = field(default_factory=dict[str, Callable[[], JsonValue]])
    started: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat().replace("+00:00", "Z")
    )

    @property
    def metadata(self) -> dict[str, str]:
        """The digest of the contract, so that callers can tell whether they speak the same one."""
        return {"contract": self.contract.digest}

    def ping(self) -> PingResponse:
        """Answer PING."""
        return PingResponse(
            type="io.nats.micro.v1.ping_response",
            name=self.contract.name,
            id=self.instance_id,
            version=self.contract.version,
            metadata=self.metadata,
        )

    def info(self) -> InfoResponse:
        """Answer INFO."""
        return InfoResponse(
            type="io.nats.micro.v1.info_response",
            name=self.contract.name,
            id=self.instance_id,
            version=self.contract.version,
            metadata=self.metadata,
            description=self.contract.description,
            endpoints=[
                EndpointInfo(
                    name=each.name,
                    subject=each.subject,
                    queue_group=each.queue_group,
                    metadata=each.metadata,
                )
                for each in self.endpoints
            ],
        )

    def stats(self) -> StatsResponse:
        """Answer STATS."""
        return StatsResponse(
            type="io.nats.micro.v1.stats_response",
            name=self.contract.name,
            id=self.instance_id,
            version=self.contract.version,
            metadata=self.metadata,
            started=self.started,
            endpoints=[_endpoint_stats(each) for each in self.endpoints],
            data=_told(self.data),
        )

    def health(self) -> HealthCheck:
        """Answer HealthCheck: "error" unless it takes new work and every check is well."""
        checks = self.checks()
        ready = self.serving() and all(check.status == "ok" for check in checks)
        return HealthCheck(
            type="io.nats.micro.v1.ping_response",
            name=self.contract.name,
            id=self.instance_id,
            version=self.contract.version,
            status="ok" if ready else "error",
            data=HealthCheckData(live=True, ready=ready, checks=checks),
        )


def _endpoint_stats(endpoint: EndpointDescription) -> EndpointStats:
    counters = endpoint.counters
    return EndpointStats(
        name=endpoint.name,
        subject=endpoint.subject,
        queue_group=endpoint.queue_group,
        num_requests=counters.requests,
        num_errors=counters.errors,
        last_error=counters.last_error,
        processing_time=counters.processing_time,
        average_processing_time=counters.processing_time // counters.requests
        if counters.requests
        else 0,
        data=_told(endpoint.data),
    )


def _told(data: Telling) -> Any:  # noqa: ANN401 - MISSING has no type of its own
    """Return what is told now as one object, absent when there is nothing."""
    return {name: tell() for name, tell in data.items()} or MISSING


def answer_discovery(transport: Transport, instance: Instance) -> list[Subscription]:
    """Answer PING, INFO and STATS to all, the service and the instance."""
    name = instance.contract.name
    answers: dict[str, Callable[[], Model]] = {
        "PING": instance.ping,
        "INFO": instance.info,
        "STATS": instance.stats,
    }
    return [
        transport.subscribe(subjects.discovery(verb, *who), _answer(transport, answer))
        for verb, answer in answers.items()
        for who in ((), (name,), (name, instance.instance_id))
    ]


def answer_health(transport: Transport, instance: Instance) -> list[Subscription]:
    """Answer HealthCheck; of the instances of a service one answers each request."""
    name = instance.contract.name
    return [transport.subscribe(subjects.health(name), _answer(transport, instance.health), name)]


def _answer(transport: Transport, answer: Callable[[], Model]) -> Callable[[Delivery], None]:
    def on_delivery(delivery: Delivery) -> None:
        if delivery.reply:
            transport.publish(delivery.reply, to_json(answer(), by_alias=True))

    return on_delivery


async def list_instances(
    transport: Transport, service: str | None = None, *, timeout: float = 2.0, headers: bytes = b""
) -> list[PingResponse]:
    """Return all running instances, of one service or of all (ADR-32 PING).

    Args:
        transport: the connection.
        service: the name of the service; None for all services.
        timeout: the time limit in seconds; it ends earlier when no more answers arrive.
        headers: encoded header lines to send.

    Returns:
        The instances, sorted by name and id.

    Example:
        ```python
        async with ReceiptsClient.connect() as receipts:
            for instance in await list_instances(receipts.transport, "receipts"):
                print(instance.name, instance.version, instance.id)
        ```

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request_many.
    """
    return await _ask_all(transport, "PING", service, PingResponse, timeout, headers)


async def list_stats(
    transport: Transport, service: str | None = None, *, timeout: float = 2.0, headers: bytes = b""
) -> list[StatsResponse]:
    """Return the statistics of all running instances, of one service or of all (ADR-32 STATS).

    Args:
        transport: the connection.
        service: the name of the service; None for all services.
        timeout: the time limit in seconds; it ends earlier when no more answers arrive.
        headers: encoded header lines to send.

    Returns:
        The statistics, sorted by name and id.

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request_many.
    """
    return await _ask_all(transport, "STATS", service, StatsResponse, timeout, headers)


async def get_service_info(
    transport: Transport,
    service: str,
    instance_id: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
) -> InfoResponse:
    """Return the description of a service and its endpoints (ADR-32 INFO).

    Args:
        transport: the connection.
        service: the name of the service.
        instance_id: the instance to ask; by default the first one that answers.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name or the instance is not valid.
        ServiceError: see Transport.request; InternalError when the answer is not valid.
    """
    subject = subjects.discovery("INFO", subjects.check_service_name(service), instance_id)
    return await _ask(transport, subject, InfoResponse, timeout, headers)


async def get_service_stats(
    transport: Transport,
    service: str,
    instance_id: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
) -> StatsResponse:
    """Return the statistics of one instance of a service (ADR-32 STATS).

    Args:
        transport: the connection.
        service: the name of the service.
        instance_id: the instance to ask; by default the first one that answers.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name or the instance is not valid.
        ServiceError: see Transport.request; InternalError when the answer is not valid.
    """
    subject = subjects.discovery("STATS", subjects.check_service_name(service), instance_id)
    return await _ask(transport, subject, StatsResponse, timeout, headers)


async def check_health(
    transport: Transport, service: str, *, timeout: float = 2.0, headers: bytes = b""
) -> HealthCheck:
    """Return the health of one instance of a service.

    Args:
        transport: the connection.
        service: the name of the service.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request; InternalError when the answer is not valid.
    """
    return await _ask(transport, subjects.health(service), HealthCheck, timeout, headers)


async def _ask(
    transport: Transport, subject: str, model: type[ModelT], timeout: float, headers: bytes
) -> ModelT:
    reply = await transport.request(subject, b"", headers, monotonic() + timeout)
    return decode_model(model, reply.payload)


async def _ask_all(  # noqa: PLR0913, PLR0917 - the request and its limits
    transport: Transport,
    verb: str,
    service: str | None,
    model: type[InstanceT],
    timeout: float,
    headers: bytes,
) -> list[InstanceT]:
    if service is not None:
        subjects.check_service_name(service)
    replies = await transport.request_many(
        subjects.discovery(verb, service), b"", headers, timeout=timeout, quiet=min(_QUIET, timeout)
    )
    found: list[InstanceT] = []
    for reply in replies:
        with suppress(ServiceError):  # a service of another framework that breaks ADR-32
            found.append(decode_model(model, reply.payload))
    return sorted(found, key=lambda instance: (instance.name, instance.id))
