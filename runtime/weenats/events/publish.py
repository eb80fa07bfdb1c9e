"""Publishing of typed events."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final, TypedDict, TypeVar, cast

from pydantic import JsonValue
from typing_extensions import Unpack

from weenats._internal.validation import check_integer, check_options
from weenats.codec.events import event_codec
from weenats.context import CURRENT, NO_CONTEXT, MessageContext
from weenats.contract import Event
from weenats.errors import InvalidArgumentError
from weenats.protocol import headers as header_names
from weenats.protocol.identifiers import STAMPER
from weenats.protocol.subjects import stored_event
from weenats.protocol.timeouts import DEFAULT_TIMEOUT, Duration, seconds
from weenats.telemetry.manager import SILENT, TelemetryManager
from weenats.telemetry.messaging import EventTelemetry
from weenats.telemetry.propagation import inherited_header_lines
from weenats.transport.base import Transport, check_transport

__all__ = ["PublishOptions", "publish"]
DataT = TypeVar("DataT")
_NOT_RECORDED: Final = nullcontext(b"")


class PublishOptions(TypedDict, total=False):
    """Options of an event.

    Attributes:
        timeout: how long storing a durable event may take, in seconds or a timedelta; 5 by default.
        revision: the revision of the aggregate after the event, for subscribers that order events
            or leave out what they know. Events of the service itself have none.
        context: members of `metadata.context`.
        headers: NATS headers.
    """

    timeout: Duration
    revision: int
    context: Mapping[str, JsonValue]
    headers: Mapping[str, str]


async def publish(
    transport: Transport,
    event: Event[DataT],
    key: object,
    data: DataT,
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[PublishOptions],
) -> None:
    """Publish an event.

    Within a handler the event has the correlation id of the message being served, names it as its
    cause, and belongs to its trace. Delivery is at most once, to the subscribers that are connected
    at that moment. A durable event is stored by its stream when this function returns.

    Args:
        transport: the connection.
        event: the event.
        key: the key of the aggregate, of the type in the contract; None for an event of the service
            itself.
        data: the data of the event.
        telemetry: records a PRODUCER span and metrics.
        options: see PublishOptions.

    Example:
        Generated clients and skeletons have a method for each event, which calls this function:

        ```python
        await self.publish_item_added(key, ItemAdded(item=item), revision=receipt.revision)
        ```

    Raises:
        InvalidArgumentError: the key, the data or an option is not valid.
        StreamMissingError: the stream of a durable event does not exist.
        StreamFullError: the stream of a durable event has reached a limit.
        ServiceError: there is no connection, see Transport.publish and `streams.store`.
        TypeError: the transport is not one, an option is unknown.
    """
    if options:
        check_options(options, PublishOptions, "an event")
    check_transport(transport)
    if not transport.is_connected:
        await transport.connect()
    lines, revision = _checked(event, options) if options else (b"", None)
    context = _new_message(options.get("context", NO_CONTEXT))
    payload = event_codec(event).encode(key, data, revision, context)
    if telemetry is SILENT and event.stream is None:  # without a `with` for nothing
        transport.publish(event.subject, payload, lines + inherited_header_lines())
        return
    timeout = seconds(options["timeout"]) if "timeout" in options else DEFAULT_TIMEOUT
    with (
        _NOT_RECORDED
        if telemetry is SILENT
        else EventTelemetry.of_publisher(telemetry, event).publishing(context, len(payload))
    ) as trace:
        lines += trace or inherited_header_lines()
        if event.stream is None:
            transport.publish(event.subject, payload, lines)
            return
        from weenats.streams.store import store  # noqa: PLC0415 - few events are durable

        partition = event_codec(event).partition(key, event.stream.partitions)
        await store(
            transport,
            event.stream,
            stored_event(event.contract.name, partition, event.path),
            payload,
            lines,
            message_id=context.message_id,
            timeout=timeout,
        )


def _checked(event: Event[DataT], options: PublishOptions) -> tuple[bytes, int | None]:
    """Return the header lines and the revision of an event.

    Raises:
        InvalidArgumentError: an option is not valid.
    """
    lines = b""
    if headers := options.get("headers"):
        header_names.check(headers)
        lines = header_names.encode(headers)
    context = cast("object", options.get("context", NO_CONTEXT))
    if not isinstance(context, Mapping):
        raise InvalidArgumentError(f"context must be a mapping, not {type(context).__name__}")
    if "timeout" in options:
        seconds(options["timeout"])
    revision = options.get("revision")
    if revision is not None and event.aggregate is None:
        raise InvalidArgumentError(f"{event.name} has no aggregate, so it has no revision")
    if "revision" in options:
        check_integer("revision", revision, 0, error=InvalidArgumentError)
    return lines, revision


def _new_message(metadata_context: Mapping[str, JsonValue]) -> MessageContext:
    message_id, timestamp = STAMPER.stamp()
    current = CURRENT.get()
    return MessageContext(
        message_id,
        message_id if current is None else current.correlation_id,
        timestamp,
        None if current is None else current.message_id,
        metadata_context,
    )
