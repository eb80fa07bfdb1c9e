"""The verb `call`: any operation of a running service, known from what the service tells."""

import asyncio
import json
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

import typer
from pydantic import MISSING, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from weenats.client.tokens import warn_if_exposed
from weenats.discovery import get_service_info
from weenats.errors import NoRespondersError, ServiceError
from weenats.protocol import headers
from weenats.protocol.deadline import seconds
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.messages import (
    AggregateId,
    CommandRequest,
    CommandResponse,
    CommandSuccess,
    Correlation,
    EndpointInfo,
    Failure,
    InfoResponse,
    InvalidArgumentDetails,
    JwtAuthentication,
    MessageMetadata,
    PingResponse,
    QueryRequest,
    QueryResponse,
    QuerySuccess,
    Violation,
)
from weenats.protocol.subjects import Kind, cancel
from weenats_codegen.cli.agreement import compared_instances
from weenats_codegen.cli.arguments import json_text, service_name
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.errors import VerbError
from weenats_codegen.cli.output import emit

if TYPE_CHECKING:
    from rich.console import RenderableType

    from weenats.transport.nats import NatsTransport

Reply = CommandSuccess | QuerySuccess | Failure


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person typed; `payload` is JSON text."""

    service: str
    operation: str
    key: str
    payload: str | None
    timeout: float
    token: str | None


def call(asked: Asked, servers: Sequence[str], *, as_json: bool) -> None:
    """Make one call and show its reply.

    Raises:
        VerbError: the service replied with an error, or has no such operation.
    """
    service_name(asked.service)
    payload = json_text(asked.payload)
    reply = asyncio.run(ask(asked, payload, servers))
    if as_json or not isinstance(reply, Failure):
        data = reply.model_dump(mode="json", by_alias=True)
        emit(data, as_json=as_json, person=lambda: drawn(data))
    if isinstance(reply, Failure):
        raise VerbError(failure_line(reply))


async def ask(asked: Asked, payload: JsonValue, servers: Sequence[str]) -> Reply:
    """Find the operation in the service's INFO, send an envelope, return what comes back."""
    deadline = monotonic() + seconds(asked.timeout)
    async with connection(servers, asked.timeout) as transport:
        left = deadline - monotonic()
        instances = asyncio.ensure_future(compared_instances(transport, asked.service, left))
        try:
            endpoint, kind = await locate(transport, asked, instances, left)
            request = written(asked, payload, endpoint, kind)
            lines = headers.encode({headers.TIMEOUT: str(round((deadline - monotonic()) * 1000))})
            if asked.token:
                warn_if_exposed(transport)
            delivery = await transport.request(
                endpoint.subject, request, lines, deadline, cancel_subject=cancel(asked.service)
            )
        except NoRespondersError:
            raise VerbError(f"no instance of {asked.service} is running") from None
        finally:
            await instances
    replies: TypeAdapter[Reply] = TypeAdapter(
        CommandResponse if kind is Kind.COMMAND else QueryResponse
    )
    return replies.validate_json(delivery.payload, by_name=False)


async def locate(
    transport: "NatsTransport",
    asked: Asked,
    instances: Awaitable[list[PingResponse]],
    timeout: float,
) -> tuple[EndpointInfo, Kind]:
    """Find an operation at one instance, else at the others, which may have another contract."""
    info = await get_service_info(transport, asked.service, timeout=timeout)
    try:
        return find(info, asked.operation)
    except VerbError as missing:
        for each in await instances:
            with suppress(VerbError, ServiceError):
                other = await get_service_info(transport, asked.service, each.id, timeout=timeout)
                return find(other, asked.operation)
        raise missing from None


def written(asked: Asked, payload: JsonValue, endpoint: EndpointInfo, kind: Kind) -> bytes:
    """Return the request as bytes; a key or payload that no request can hold is wrong usage."""
    try:
        return to_json(envelope(asked, payload, endpoint, kind), by_alias=True)
    except ValidationError as error:
        raise typer.BadParameter(f"the key: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise typer.BadParameter(f"the payload: {error}") from None


def find(info: InfoResponse, operation: str) -> tuple[EndpointInfo, Kind]:
    """Return the endpoint of an operation and whether it is a command or a query."""
    known: list[str] = []
    for endpoint in info.endpoints:
        told = facts(endpoint)
        if told.get("kind") not in {Kind.COMMAND.value, Kind.QUERY.value}:
            continue
        if told.get("operation") == operation:
            return endpoint, Kind(told["kind"])
        known.append(told.get("operation", ""))
    has = f"it has {', '.join(sorted(known))}" if known else "it tells of none"
    raise VerbError(f"{info.name} {info.version} has no operation {operation}; {has}")


def facts(endpoint: EndpointInfo) -> dict[str, str]:
    """What an endpoint tells of itself; nothing when it is none of ours."""
    return endpoint.metadata if isinstance(endpoint.metadata, dict) else {}


def envelope(
    asked: Asked, payload: JsonValue, endpoint: EndpointInfo, kind: Kind
) -> CommandRequest | QueryRequest:
    """The request as every client sends it."""
    target = AggregateId(type=facts(endpoint)["aggregate"], key=asked.key)
    message_id, timestamp = STAMPER.stamp()
    sender = MessageMetadata(
        message_id=message_id,
        timestamp=timestamp,
        correlation=Correlation(correlation_id=message_id),
        authentication=JwtAuthentication(type="jwt", token=asked.token) if asked.token else MISSING,
    )
    if kind is Kind.COMMAND:
        return CommandRequest(aggregate_id=target, command=payload, metadata=sender)
    return QueryRequest(aggregate_id=target, query=payload, metadata=sender)


def drawn(reply: dict[str, JsonValue]) -> "RenderableType":
    """A result, or an entity, for a person."""
    from rich.json import JSON

    for member in ("entity", "result"):
        if member in reply:
            return JSON.from_data(reply[member])
    return "[green]done[/]"


def failure_line(failure: Failure) -> str:
    """Code, declared name, message, then what was wrong where, or the declared details as JSON."""
    error = failure.error
    details = error.details if isinstance(error.details, dict) else {}
    declared = details.get("error")
    name = f" {declared}" if isinstance(declared, str) else ""
    line = f"{error.code}{name}: {error.message}"
    if name and "data" in details:
        return f"{line} {json.dumps(details['data'], ensure_ascii=False)}"
    told = (f"{fault.pointer}: {fault.message}" for fault in violations(details))
    faults = "; ".join(fault for fault in told if fault not in error.message)
    return f"{line} ({faults})" if faults else f"{line}{_remedy(error.code, details)}"


def _remedy(code: str, details: dict[str, JsonValue]) -> str:
    """Say what helps against a refusal."""
    wait = details.get("retryAfter")
    if isinstance(wait, int | float):
        return f" (again in {wait / 1000:g} s)"
    return " (--token or WEENATS_TOKEN give a token)" if code == "UNAUTHENTICATED" else ""


def violations(details: dict[str, JsonValue]) -> list[Violation]:
    """What was wrong in a request, when the details say so."""
    try:
        return InvalidArgumentDetails.model_validate(details).violations
    except ValidationError:
        return []
