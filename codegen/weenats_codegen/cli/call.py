"""The command `call`: calls any operation of a running service, which it finds by discovery."""

import asyncio
import codecs
import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

import typer
from pydantic import JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_json

from weenats.client.tokens import warn_if_exposed
from weenats.codec.numbers import load_decimals
from weenats.codec.replies import error_in_headers, is_reply
from weenats.codec.violations import violations
from weenats.discovery import (
    get_contract_document,
    get_service_info,
    list_infos,
    list_instances,
    list_stats,
)
from weenats.errors import (
    CLASS_OF_CODE,
    DeadlineExceededError,
    InternalError,
    NoRespondersError,
    ServiceError,
)
from weenats.protocol import headers, messages
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import Kind, SubjectError, build, cancel, check_component
from weenats.protocol.timeouts import seconds
from weenats_codegen.cli.connection import connection, warn_of_differences
from weenats_codegen.cli.errors import CliError
from weenats_codegen.cli.instances import not_running, reported_health, trouble
from weenats_codegen.cli.large_payloads import stored_payload, whole_reply
from weenats_codegen.cli.output import emit, emit_value, shown_json
from weenats_codegen.naming import labels_meant
from weenats_codegen.parser.diagnostics import did_you_mean
from weenats_codegen.parser.walk import STANDARD_QUERY

if TYPE_CHECKING:
    from weenats.transport.base import Delivery
    from weenats.transport.nats import NatsTransport

_MAX_WAIT: Final = 2.0
"""Seconds to wait for the contract of a service, which not everyone may read."""
_UNAUTHENTICATED: Final = "pass a token with --token or WEENATS_TOKEN"
_REFUSED: Final = "the token was refused; the log of the service says why"
Reply = messages.CommandSuccess | messages.QuerySuccess | messages.Failure


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of the command; `values` are a key, a payload as JSON text, or both."""

    service: str
    operation: str
    values: tuple[str, ...] = field(repr=False)
    timeout: float
    token: str | None = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    message_id: str | None = None


class SeveralOperationsError(CliError):
    """Several aggregates of the service have an operation of this name."""


def call(arguments: Arguments, servers: Sequence[str], *, as_json: bool) -> None:
    """Make one call and print its reply.

    Raises:
        CliError: The service replied with an error, or has no such operation.
    """
    payload = parse_payload(arguments.values[1]) if arguments.values[1:] else None
    arguments = replace(arguments, message_id=arguments.message_id or STAMPER.new_id())
    reply = asyncio.run(exchange(arguments, payload, servers))
    if as_json or not isinstance(reply, messages.Failure):
        show(reply.model_dump(by_alias=True), as_json=as_json)
    if isinstance(reply, messages.Failure):
        raise CliError(failure_line(reply, with_token=bool(arguments.token)))


def parse_payload(text: str | None) -> bytes:
    """Return the payload as it was given; `-` reads standard input, None is an empty object."""
    if text is None:
        return b"{}"
    if text == "-" and cast("object", sys.stdin) is None:
        raise typer.BadParameter("standard input is closed")
    try:
        # As bytes: JSON is UTF-8, whatever the locale is.
        payload = sys.stdin.buffer.read() if text == "-" else text.encode()
        payload = payload.removeprefix(codecs.BOM_UTF8)
        value: JsonValue = json.loads(payload.decode())
        json.dumps(value, allow_nan=False)  # NaN, and numbers that are too large for a float
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"the payload is not UTF-8 (byte {error.start})") from None
    except ValueError as error:
        raise typer.BadParameter(f"the payload is not valid JSON: {error}") from None
    except RecursionError:
        raise typer.BadParameter("the payload is nested too deeply") from None
    return payload


async def exchange(arguments: Arguments, payload: bytes | None, servers: Sequence[str]) -> Reply:
    """Find the operation by discovery, send the request, return the reply.

    Args:
        arguments: The arguments of the command.
        payload: The payload, None while it is not known whether there is one.
        servers: The URLs of the servers.
    """
    deadline = monotonic() + seconds(arguments.timeout)
    async with connection(servers, arguments.timeout) as transport:
        left = deadline - monotonic()
        instances = asyncio.ensure_future(_instances(transport, arguments.service, left))
        try:
            endpoint, kind = await locate(transport, arguments, left)
            check_subject(arguments, endpoint, kind)
            if headers.IF_REVISION in arguments.headers:
                await _check_revision(transport, arguments, endpoint, kind, deadline)
            key, payload = assign(arguments, payload, endpoint)
            left = max(deadline - monotonic(), 0.0)
            payload, large = await stored_payload(transport, arguments.service, payload, left)
            request = encode_request(
                arguments.token, key, payload, endpoint, kind, arguments.message_id
            )
            delivery = await _send(transport, arguments, endpoint.subject, request, deadline, large)
            delivery = await whole_reply(transport, arguments.service, delivery)
        finally:
            await instances
    return decode_reply(delivery, arguments.service, kind)


def assign(
    arguments: Arguments, payload: bytes | None, endpoint: messages.EndpointInfo
) -> tuple[str | None, bytes]:
    """Return the key and the payload among the arguments; the operation decides what they are.

    Args:
        arguments: The arguments of the command.
        payload: The payload if there are a key and a payload, otherwise None.
        endpoint: The operation; only those of aggregates have keys.
    """
    values = arguments.values
    usage = f"weenats call {arguments.service} {arguments.operation}"
    if "aggregate" not in _metadata(endpoint):
        if payload is not None:
            text = f"{arguments.operation} belongs to the service and has no key"
            raise typer.BadParameter(f"{text}: {usage} [JSON]")
        return None, parse_payload(values[0] if values else None)
    if not values or (payload is None and values[0].startswith("{")):  # that is a payload alone
        raise typer.BadParameter(f"{arguments.operation} needs a key: {usage} KEY [JSON]")
    return values[0], parse_payload(None) if payload is None else payload


async def _send(  # noqa: PLR0913, PLR0917 - the parts of a request
    transport: "NatsTransport",
    arguments: Arguments,
    subject: str,
    request: bytes,
    deadline: float,
    large: Mapping[str, str],
) -> "Delivery":
    remaining = round((deadline - monotonic()) * 1000)
    if remaining <= 0:
        raise DeadlineExceededError("--timeout expired before the call was sent")
    lines = headers.encode({headers.TIMEOUT: str(remaining), **arguments.headers, **large})
    if arguments.token:
        warn_if_exposed(transport)
    service = arguments.service
    try:
        return await transport.request(
            subject, request, lines, deadline, is_reply, cancel_subject=cancel(service)
        )
    except NoRespondersError as error:
        raise await _not_served(transport, service, error) from None
    except DeadlineExceededError as error:
        again = f"to repeat it, pass --message-id {arguments.message_id}"
        raise DeadlineExceededError(f"{error.message}; {again}") from None


async def _not_served(
    transport: "NatsTransport", service: str, error: NoRespondersError
) -> Exception:
    """Return why instances that are running do not accept calls, as they report it."""
    reasons: set[str] = set()
    with suppress(ServiceError):
        found = await list_stats(transport, service)
        reasons = {text for each in found if (text := trouble(reported_health(each)))}
    if not reasons:
        return error
    return CliError(
        f"UNAVAILABLE: no instance of {service} accepts calls now: {'; '.join(sorted(reasons))}"
    )


def decode_reply(delivery: "Delivery", service: str, kind: Kind) -> Reply:
    """Return the reply of a service.

    Raises:
        CliError: It is not valid.
    """
    replies: TypeAdapter[Reply] = TypeAdapter(
        messages.CommandResponse if kind is Kind.COMMAND else messages.QueryResponse
    )
    try:
        return _with_digits(replies.validate_json(delivery.payload, by_name=False), delivery)
    except ValidationError as error:
        failure = error_in_headers(delivery)  # of a service that speaks ADR-32 alone
        if failure is not None:
            raise failure from None
        first = violations(error, delivery.payload)[0]
        what = ": ".join(part for part in (first["pointer"], first["message"]) if part)
        raise CliError(f"{service} sent an invalid reply: {what}") from None


def _with_digits(reply: Reply, delivery: "Delivery") -> Reply:
    """Return a reply whose parts have numbers with all their digits."""
    with suppress(ValueError):  # NaN
        document = load_decimals(delivery.payload)
        if isinstance(reply, messages.Failure):
            if reply.error.details is not None and "data" in reply.error.details:
                reply.error.details["data"] = document["error"]["details"]["data"]
        elif "result" in document:
            reply.result = document["result"]
        elif isinstance(reply, messages.QuerySuccess) and reply.entity is not None:
            reply.entity.state = document["entity"]["state"]
    return reply


async def _instances(
    transport: "NatsTransport", service: str, timeout: float
) -> list[messages.PingResponse]:
    """Return the instances of a service, and warn if their contracts differ.

    An error is not reported here, since the other requests have it too: there are none then.
    """
    instances: list[messages.PingResponse] = []
    with suppress(ServiceError):
        instances = await list_instances(transport, service, timeout=timeout)
    warn_of_differences(instances)
    return instances


async def locate(
    transport: "NatsTransport", arguments: Arguments, timeout: float
) -> tuple[messages.EndpointInfo, Kind]:
    """Find an operation at one instance, otherwise at the others, whose contract may differ."""
    service, operation = arguments.service, arguments.operation
    try:
        info = await get_service_info(transport, service, timeout=timeout)
    except NoRespondersError:
        raise await not_running(transport, service) from None
    except InternalError as error:
        missing: Exception = error  # of a foreign service; another instance may be valid
    else:
        try:
            return find(info, operation)
        except CliError as error:
            missing = error
    invalid: list[InternalError] = []
    others = await list_infos(transport, service, timeout=timeout, on_invalid=invalid.append)
    for other in others:
        with suppress(CliError):
            return find(other, operation)
    # These errors name the instance, and what is wrong with its answer.
    raise invalid[0] if isinstance(missing, InternalError) and invalid else missing


def find(info: messages.InfoResponse, operation: str) -> tuple[messages.EndpointInfo, Kind]:
    """Return the endpoint of an operation and whether it is a command or a query."""
    known = {
        _label(metadata): (endpoint, Kind(metadata["kind"]))
        for endpoint in info.endpoints
        if (metadata := _metadata(endpoint))
    }
    meant = labels_meant(operation, known)
    if len(meant) == 1:
        return known[meant[0]]
    if meant:
        raise SeveralOperationsError(f"{info.name} has several: {', '.join(sorted(meant))}")
    hint = did_you_mean(operation, known)
    raise CliError(f"{info.name} {info.version} has no operation {operation}; {hint}")


async def aggregates_kept(
    transport: "NatsTransport", service: str, timeout: float
) -> dict[str, bool]:
    """Return for each aggregate of a running service whether its contract keeps it in a stream.

    Args:
        transport: The connection.
        service: The service.
        timeout: Seconds to wait for the contract, two at most: not everyone may read it.

    Raises:
        CliError: The contract cannot be read.
    """
    try:
        text = await get_contract_document(transport, service, timeout=min(timeout, _MAX_WAIT))
        document: JsonValue = json.loads(text)
    except ServiceError as error:
        raise CliError(f"the contract of {service} cannot be read: {error}") from None
    except (ValueError, RecursionError):
        raise CliError(f"the contract of {service} is not valid JSON") from None
    found = document.get("aggregates") if isinstance(document, dict) else None
    contents = found if isinstance(found, dict) else {}
    return {name: isinstance(each, dict) and "store" in each for name, each in contents.items()}


async def _check_revision(
    transport: "NatsTransport",
    arguments: Arguments,
    endpoint: messages.EndpointInfo,
    kind: Kind,
    deadline: float,
) -> None:
    """Refuse a required revision that the service would ignore.

    Raises:
        CliError: The operation is not a command of an aggregate that is kept in a stream, or its
            contract cannot be read.
    """
    aggregate = _metadata(endpoint).get("aggregate")
    is_kept = False
    if kind is Kind.COMMAND and aggregate is not None:
        left = max(deadline - monotonic(), 0.0)
        try:
            is_kept = (await aggregates_kept(transport, arguments.service, left)).get(
                aggregate, False
            )
        except CliError as error:
            raise CliError(f"--if-revision: {error}; the request was not sent") from None
    if not is_kept:
        raise CliError(
            "--if-revision is for commands of aggregates with `store: stream`, and"
            f" {arguments.operation} is not one; the request was not sent"
        )


def check_subject(arguments: Arguments, endpoint: messages.EndpointInfo, kind: Kind) -> None:
    """Refuse an endpoint on another subject than its operation has: any user may answer INFO.

    Raises:
        CliError: The request would be published elsewhere in the name of the user.
    """
    metadata = _metadata(endpoint)
    with suppress(SubjectError):
        aggregate, name = metadata.get("aggregate"), metadata["operation"]
        if endpoint.subject == build(arguments.service, kind, aggregate, name):
            return
    raise CliError(
        f"{arguments.service} reports the unexpected subject {endpoint.subject} for"
        f" {arguments.operation}; the request was not sent"
    )


def _metadata(endpoint: messages.EndpointInfo) -> dict[str, str]:
    """Return the metadata of an endpoint, {} if it is not one that weenats can call."""
    metadata = endpoint.metadata if isinstance(endpoint.metadata, dict) else {}
    if metadata.get("kind") not in {Kind.COMMAND.value, Kind.QUERY.value}:
        return {}
    try:
        check_component(metadata["operation"])
        if "aggregate" in metadata:
            check_component(metadata["aggregate"])
    except (KeyError, SubjectError):
        return {}
    return metadata


def _label(metadata: dict[str, str]) -> str:
    """Return the label of an operation, which is unique in its service."""
    name, aggregate = metadata["operation"], metadata.get("aggregate")
    is_standard = aggregate is not None and name == STANDARD_QUERY
    return f"{aggregate}.{name}" if is_standard else name


def encode_request(  # noqa: PLR0913, PLR0917 - what a request has
    token: str | None,
    key: str | None,
    payload: bytes,
    endpoint: messages.EndpointInfo,
    kind: Kind,
    own_id: str | None = None,
) -> bytes:
    """Return the request as clients send it; an invalid key or payload is wrong usage."""
    mark = secrets.token_hex(16)
    try:
        authentication = messages.JwtAuthentication(type="jwt", token=token) if token else None
        target = (
            None
            if key is None
            else messages.AggregateId(type=_metadata(endpoint)["aggregate"], key=key)
        )
        message_id, timestamp = STAMPER.stamp()
        message_id = own_id or message_id
        sender = messages.MessageMetadata(
            message_id=message_id,
            timestamp=timestamp,
            correlation=messages.Correlation(correlation_id=message_id),
            authentication=authentication,
        )
        request: messages.CommandRequest | messages.QueryRequest
        if kind is Kind.COMMAND:
            request = messages.CommandRequest(aggregate_id=target, command=mark, metadata=sender)
        else:
            request = messages.QueryRequest(aggregate_id=target, query=mark, metadata=sender)
        to_json(json.loads(payload))  # text that is not valid Unicode
        # The text itself, in which numbers have all their digits.
        return to_json(request, by_alias=True).replace(f'"{mark}"'.encode(), payload)
    except ValidationError as error:
        first = error.errors()[0]
        what = "token" if first["loc"] == ("token",) else "key"
        raise typer.BadParameter(f"the {what}: {first['msg']}") from None
    except ValueError as error:
        raise typer.BadParameter(f"the payload: {error}") from None


def show(reply: dict[str, JsonValue], *, as_json: bool) -> None:
    """Print the whole reply as JSON, or for people its result or entity."""
    shown = [reply[member] for member in ("entity", "result") if member in reply]
    if shown and not as_json:
        emit_value(shown[0])
    else:
        emit(reply, as_json=as_json, render=lambda: "[green]done[/]")


def failure_line(failure: messages.Failure, *, with_token: bool = False) -> str:
    """Return an error as one line: code, declared name, message, then what the details add.

    Args:
        failure: The error.
        with_token: Whether the call had a token.
    """
    error = failure.error
    details = error.details if isinstance(error.details, dict) else {}
    declared = details.get("error")
    wait = CLASS_OF_CODE[error.code](error.message, details=details).retry_after
    line = f"{error.code}: {error.message}"
    if isinstance(declared, str):
        line = f"{error.code} {declared}: {error.message}"
        if "data" in details:
            return f"{line} {shown_json(details['data'])}"
    if violations := "; ".join(each for each in _violations(details) if each not in error.message):
        return f"{line}; {violations}"
    if wait is not None:
        return f"{line} (retry in {wait:g} s)"
    if error.code != "UNAUTHENTICATED":
        return line
    return f"{line} ({_REFUSED if with_token else _UNAUTHENTICATED})"


def _violations(details: dict[str, JsonValue]) -> list[str]:
    """Return what was wrong in a request, if the details contain it."""
    try:
        found = messages.InvalidArgumentDetails.model_validate(details).violations
    except ValidationError:
        return []
    return [f"{each.pointer}: {each.message}" for each in found]
