"""Asking services about themselves, as ADR-32 revision 6 defines it: PING, INFO and STATS."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from weenats.codec import decode_model
from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol import subjects
from weenats.protocol.messages import HealthCheck, InfoResponse, PingResponse, StatsResponse

if TYPE_CHECKING:
    from weenats.transport.base import Transport

_QUIET: Final = 0.15
ModelT = TypeVar("ModelT", bound=Model)


async def list_instances(
    transport: Transport,
    service: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
) -> list[PingResponse]:
    """Return every running instance, of all services or of one, sorted by name and id.

    [] when there is none. `headers` are lines that go along, here and below.
    """
    found = await _ask_all(transport, "PING", service, PingResponse, timeout, headers)
    return sorted(found, key=lambda instance: (instance.name, instance.id))


async def list_stats(
    transport: Transport, service: str | None = None, *, timeout: float = 2.0, headers: bytes = b""
) -> list[StatsResponse]:
    """Return what every running instance has counted, of all services or of one.

    They are sorted by name and id; [] when there is none.
    """
    found = await _ask_all(transport, "STATS", service, StatsResponse, timeout, headers)
    return sorted(found, key=lambda instance: (instance.name, instance.id))


async def get_service_info(
    transport: Transport,
    service: str,
    instance_id: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
) -> InfoResponse:
    """Return what a service tells of itself, one instance or the one that answers first.

    Raises:
        ServiceError: as Transport.request; InternalError when the answer is none.
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
    """Return what one instance has counted, the named one or the one that answers first.

    Raises:
        ServiceError: as Transport.request; InternalError when the answer is none.
    """
    subject = subjects.discovery("STATS", subjects.check_service_name(service), instance_id)
    return await _ask(transport, subject, StatsResponse, timeout, headers)


async def check_health(
    transport: Transport, service: str, *, timeout: float = 2.0, headers: bytes = b""
) -> HealthCheck:
    """Return the health of one instance of a service.

    Raises:
        ServiceError: as Transport.request; InternalError when the answer is none.
    """
    return await _ask(transport, subjects.health(service), HealthCheck, timeout, headers)


async def _ask(
    transport: Transport, subject: str, model: type[ModelT], timeout: float, headers: bytes
) -> ModelT:
    reply = await transport.request(subject, b"", headers, monotonic() + timeout)
    answer: ModelT = decode_model(model, reply.payload)
    return answer


async def _ask_all(  # noqa: PLR0913, PLR0917 - what is asked, of whom, for how long
    transport: Transport,
    verb: str,
    service: str | None,
    model: type[ModelT],
    timeout: float,
    headers: bytes,
) -> list[ModelT]:
    if service is not None:
        subjects.check_service_name(service)
    replies = await transport.request_many(
        subjects.discovery(verb, service), b"", headers, timeout=timeout, quiet=min(_QUIET, timeout)
    )
    found: list[ModelT] = []
    for reply in replies:
        with suppress(ServiceError):  # a service of another make that does not keep to ADR-32
            found.append(decode_model(model, reply.payload))
    return found
