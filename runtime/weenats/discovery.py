"""Discovery requests to services: PING, INFO and STATS (ADR-32, revision 6), health, contract."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar, cast

from pydantic_core import from_json

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.validation import check_plain
from weenats.codec.failures import decode_model
from weenats.codec.json import has_many_values
from weenats.codec.replies import error_in_headers, is_answer
from weenats.errors import DeadlineExceededError, InternalError
from weenats.protocol import headers as header_names
from weenats.protocol import subjects
from weenats.protocol.messages import HealthCheck, InfoResponse, PingResponse, StatsResponse
from weenats.protocol.timeouts import seconds
from weenats.transport.base import check_transport
from weenats.transport.inbox import is_full

if TYPE_CHECKING:
    from weenats.transport.base import Accepts, Delivery, Transport

__all__ = [
    "InvalidReplyError",
    "OnInvalid",
    "check_health",
    "get_contract_document",
    "get_service_info",
    "get_service_stats",
    "list_infos",
    "list_instances",
    "list_stats",
]
_LOG: Final = LimitedLogger("weenats.discovery")
_QUIET: Final = 0.15
_MAX_NAME_LENGTH: Final = 50
_SAME_ID: Final = (
    "{} {} sent different answers, and ids of instances are unique: all but one of the answers come"
    " from others"
)
_TOO_MANY: Final = (
    "{} has more answers than are gathered: only the first {} are listed, of"
    " {:.1f} MiB; there may be more instances"
)
_OTHER: Final = "{} {} answered in place of {}, and is ignored"
_MAX_DOCUMENT: Final = 16 * 1024 * 1024
"""The size of a document in bytes: a small message can be decompressed to gigabytes."""
_GZIP_FORMAT: Final = 16
"""Added to the window size, it makes zlib read gzip."""
SenderT = TypeVar("SenderT", HealthCheck, InfoResponse, StatsResponse)
InstanceT = TypeVar("InstanceT", PingResponse, InfoResponse, StatsResponse)


class InvalidReplyError(InternalError):
    """An instance sent a reply that violates ADR-32.

    Attributes:
        service: the name in the reply, "" if it has none.
        instance_id: the id in the reply, "" if it has none.
    """

    service: str = ""
    instance_id: str = ""


OnInvalid = Callable[[InternalError], None]
"""Takes the error of a reply that is an error or violates ADR-32, and that of an id with which
several instances answer; the error names the sender and what is wrong. Also takes an error when
there are more replies than are gathered."""


async def list_instances(
    transport: Transport,
    service: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
    on_invalid: OnInvalid | None = None,
) -> list[PingResponse]:
    """Return all running instances, of one service or of all (ADR-32 PING).

    Args:
        transport: the connection.
        service: the name of the service, of any framework; None for all services.
        timeout: the time limit in seconds; it ends earlier when no more replies arrive.
        headers: encoded header lines to send.
        on_invalid: called for each reply that is an error or violates ADR-32, such replies are left
            out; for each id with which different replies came, all of which are listed; and when
            there are more replies than are gathered, which is logged too.

    Returns:
        The instances, sorted by name and id; different answers with one id are all listed.

    Example:
        ```python
        async with ReceiptsClient.connect() as receipts:
            for instance in await list_instances(receipts.transport, "receipts"):
                print(instance.name, instance.version, instance.id)
        ```

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request_many.
        TypeError: `on_invalid` is not a plain function.
    """
    return await _request_all(
        transport, "PING", service, PingResponse, timeout, headers, on_invalid
    )


async def list_infos(
    transport: Transport,
    service: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
    on_invalid: OnInvalid | None = None,
) -> list[InfoResponse]:
    """Return the descriptions of all running instances, of one service or of all (ADR-32 INFO).

    Args:
        transport: the connection.
        service: the name of the service, of any framework; None for all services.
        timeout: the time limit in seconds; it ends earlier when no more replies arrive.
        headers: encoded header lines to send.
        on_invalid: called for each reply that is an error or violates ADR-32, such replies are left
            out; for each id with which different replies came, all of which are listed; and when
            there are more replies than are gathered, which is logged too.

    Returns:
        The descriptions, sorted by name and id.

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request_many.
        TypeError: `on_invalid` is not a plain function.
    """
    return await _request_all(
        transport, "INFO", service, InfoResponse, timeout, headers, on_invalid
    )


async def list_stats(
    transport: Transport,
    service: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
    on_invalid: OnInvalid | None = None,
) -> list[StatsResponse]:
    """Return the statistics of all running instances, of one service or of all (ADR-32 STATS).

    Args:
        transport: the connection.
        service: the name of the service, of any framework; None for all services.
        timeout: the time limit in seconds; it ends earlier when no more replies arrive.
        headers: encoded header lines to send.
        on_invalid: called for each reply that is an error or violates ADR-32, such replies are left
            out; for each id with which different replies came, all of which are listed; and when
            there are more replies than are gathered, which is logged too.

    Returns:
        The statistics, sorted by name and id.

    Raises:
        SubjectError: the name is not valid.
        ServiceError: see Transport.request_many.
        TypeError: `on_invalid` is not a plain function.
    """
    return await _request_all(
        transport, "STATS", service, StatsResponse, timeout, headers, on_invalid
    )


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
        instance_id: the id of the instance; by default the first one that replies.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name or the instance is not valid.
        ServiceError: see Transport.request; InternalError when the reply is not valid.
    """
    subject = subjects.discovery("INFO", subjects.check_discovered_name(service), instance_id)
    sender = (service, instance_id)
    return await _request(transport, subject, InfoResponse, sender, timeout, headers)


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
        instance_id: the id of the instance; by default the first one that replies.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name or the instance is not valid.
        ServiceError: see Transport.request; InternalError when the reply is not valid.
    """
    subject = subjects.discovery("STATS", subjects.check_discovered_name(service), instance_id)
    sender = (service, instance_id)
    return await _request(transport, subject, StatsResponse, sender, timeout, headers)


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
        ServiceError: see Transport.request; InternalError when the reply is not valid.
    """
    sender = (service, None)
    return await _request(
        transport, subjects.health(service), HealthCheck, sender, timeout, headers
    )


async def get_contract_document(
    transport: Transport,
    service: str,
    instance_id: str | None = None,
    *,
    timeout: float = 2.0,
    headers: bytes = b"",
) -> bytes:
    """Return the contract of a running service as one JSON document, with all its schemas.

    The document is what the instance sent: it may be invalid, or not what the instance serves.

    Args:
        transport: the connection.
        service: the name of the service.
        instance_id: the id of the instance; by default any.
        timeout: the time limit in seconds.
        headers: encoded header lines to send.

    Raises:
        SubjectError: the name or the instance is not valid.
        ServiceError: see Transport.request; UnimplementedError when the service was generated
            without a document, InternalError when the answer cannot be decompressed or has more
            than 16 MiB.
    """
    subject = subjects.contract(service)
    if instance_id is not None:
        subject = subjects.on_instance(subject, instance_id)
    return _document_in(await _answer(transport, subject, timeout, headers))


def _document_in(reply: Delivery) -> bytes:
    """Return the document in a reply, decompressed."""
    encoding = reply.headers.get(header_names.CONTENT_ENCODING)
    if encoding is None:
        return reply.payload
    if encoding != "gzip":
        raise InternalError(f"the answer has the unknown Content-Encoding {encoding[:50]!r}")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | _GZIP_FORMAT)
    try:
        document = unpacker.decompress(reply.payload, _MAX_DOCUMENT + 1)
    except zlib.error:
        raise InternalError("the answer is not valid gzip") from None
    if len(document) > _MAX_DOCUMENT:
        raise InternalError(f"the document has more than {_MAX_DOCUMENT} bytes")
    if not unpacker.eof:
        raise InternalError("the answer is not complete gzip")
    return document


async def _request(  # noqa: PLR0913, PLR0917 - the request, its limits, and what answers it
    transport: Transport,
    subject: str,
    model: type[SenderT],
    sender: tuple[str, str | None],
    timeout: float,
    headers: bytes,
) -> SenderT:
    """Return the first valid answer of the sender: of its name, and with its id if there is one.

    A subscriber of the subject may be another service, or answer as one. After an invalid answer,
    which may be that of the sender, a valid one is awaited for a moment only.
    """
    answer: SenderT | None = None
    invalid: list[InternalError] = []
    patience = asyncio.timeout(None)
    loop = asyncio.get_running_loop()

    def accepts(reply: Delivery) -> bool:
        nonlocal answer
        if not is_answer(reply):
            return False
        if error_in_headers(reply) is not None:
            return True
        try:
            answer = decode_model(model, reply.payload)
        except InternalError as error:
            if not invalid:
                invalid.append(error)
                patience.reschedule(loop.time() + _QUIET)
            return False
        return answer.name == sender[0] and sender[1] in {None, answer.id}

    try:
        async with patience:
            await _answer(transport, subject, timeout, headers, accepts)
    except (TimeoutError, DeadlineExceededError):
        if invalid:
            raise invalid[0] from None
        raise
    return cast("SenderT", answer)


async def _answer(
    transport: Transport, subject: str, timeout: float, headers: bytes, accepts: Accepts = is_answer
) -> Delivery:
    """Return the first answer; an error in its headers is raised."""
    check_transport(transport)
    deadline = monotonic() + seconds(timeout)
    reply = await transport.request(subject, b"", headers, deadline, accepts)
    error = error_in_headers(reply)
    if error is not None:
        raise error
    return reply


async def _request_all(  # noqa: PLR0913, PLR0917 - the request and its limits
    transport: Transport,
    verb: str,
    service: str | None,
    model: type[InstanceT],
    timeout: float,
    headers: bytes,
    on_invalid: OnInvalid | None,
) -> list[InstanceT]:
    check_transport(transport)
    if service is not None:
        subjects.check_discovered_name(service)
    report = on_invalid or _ignore
    check_plain(report, "on_invalid")
    timeout = seconds(timeout)
    replies = await transport.request_many(
        subjects.discovery(verb, service),
        b"",
        headers,
        timeout=timeout,
        quiet=min(_QUIET, timeout),
        accepts=is_answer,
    )
    # An answer that arrives twice counts once. Another answer with the same id, perhaps an earlier
    # one, does not hide it: it may come from an impostor.
    found: dict[tuple[str, str], dict[bytes, InstanceT]] = {}
    size = sum(reply.size for reply in replies)
    if is_full(len(replies), size):
        text = _TOO_MANY.format(verb, len(replies), size / 2**20)
        _LOG.warning("%s", text)
        report(InternalError(text))
    for reply in replies:
        if (refusal := error_in_headers(reply)) is not None:
            report(InternalError(f"a service answered {verb} with an error: {refusal}"))
            continue
        try:
            instance = decode_model(model, reply.payload)
            if service not in {None, instance.name}:
                report(InternalError(_OTHER.format(instance.name, instance.id, service)))
                continue
            found.setdefault((instance.name, instance.id), {})[reply.payload] = instance
        except InternalError as error:  # a service of another framework that violates ADR-32
            report(_invalid(verb, reply.payload, error))
    for (name, instance_id), answers in found.items():
        if len(answers) > 1:
            report(InternalError(_SAME_ID.format(name, instance_id)))
    return [each for key in sorted(found) for each in found[key].values()]


def _ignore(_: InternalError) -> None:
    pass


def _invalid(verb: str, payload: bytes, error: InternalError) -> InvalidReplyError:
    """Return the error of an invalid reply, with its sender as far as the reply names it."""
    try:
        reply: object = None if has_many_values(payload) else from_json(payload)
    except ValueError:
        reply = None
    members = cast("dict[str, object]", reply) if isinstance(reply, dict) else {}
    names = [each if isinstance(each := members.get(name), str) else "" for name in ("name", "id")]
    sender = " ".join(each[:_MAX_NAME_LENGTH] for each in names if each) or "a service"
    first = error.details["violations"][0]
    what = ": ".join(part for part in (first["pointer"], first["message"]) if part)
    text = f"{sender} sent an invalid reply to {verb}: {what}"
    invalid = InvalidReplyError(text, details=error.details)
    invalid.service, invalid.instance_id = names
    return invalid
