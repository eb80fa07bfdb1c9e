"""Publishing of typed events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Required, TypedDict, TypeVar

from typing_extensions import Unpack

from weenats._internal.validation import unknown_option
from weenats.context import CURRENT, NO_CONTEXT, MessageContext
from weenats.errors import InvalidArgumentError
from weenats.events.codecs import codec_of
from weenats.model import Model
from weenats.protocol import headers as header_names
from weenats.protocol.identifiers import STAMPER
from weenats.telemetry.manager import SILENT
from weenats.telemetry.messaging import EventTelemetry
from weenats.telemetry.propagation import propagated_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from weenats.contract import Event
    from weenats.telemetry.manager import TelemetryManager
    from weenats.transport.base import Transport

__all__ = ["PublishOptions", "publish"]
DataT = TypeVar("DataT", bound=Model)


class PublishOptions(TypedDict, total=False):
    """What is said with an event.

    Attributes:
        revision: the revision of the aggregate that the event led to.
        context: members of `metadata.context`.
        headers: NATS headers.
    """

    revision: Required[int]
    context: Mapping[str, JsonValue]
    headers: Mapping[str, str]


_PUBLISH_OPTIONS: Final = frozenset(PublishOptions.__annotations__)


async def publish(
    transport: Transport,
    event: Event[DataT],
    key: str,
    data: DataT,
    telemetry: TelemetryManager = SILENT,
    **options: Unpack[PublishOptions],
) -> None:
    """Publish an event; correlation, causation and trace are those of the message being served.

    With telemetry it has a PRODUCER span.

    Raises:
        InvalidArgumentError: the key, the data or an option cannot be sent.
        ServiceError: there is no connection, see Transport.publish.
        TypeError: there is no such option, or the revision is missing.
    """
    if not options.keys() <= _PUBLISH_OPTIONS:
        raise unknown_option(options, _PUBLISH_OPTIONS, "an event")
    if "revision" not in options:
        raise TypeError("an event is published with the revision of its aggregate: revision=...")
    await transport.connect()
    user_headers = options.get("headers", {})
    header_names.check(user_headers)
    revision = options["revision"]
    if type(revision) is not int or revision < 0:
        raise InvalidArgumentError(
            f"the revision of an event is a whole number from 0, not {revision!r}"
        )
    context = _outgoing(options.get("context", NO_CONTEXT), user_headers)
    payload = codec_of(event).encode(key, data, revision, context)

    def send(trace: Mapping[str, str]) -> int:
        headers = header_names.encode({**context.headers, **trace})
        transport.publish(event.subject, payload, headers)
        return len(payload)

    if telemetry is SILENT:
        send({})
    else:
        EventTelemetry.of_publisher(telemetry, event).publish(context, send)


def _outgoing(
    metadata_context: Mapping[str, JsonValue], headers: Mapping[str, str]
) -> MessageContext:
    message_id = STAMPER.stamp()
    current = CURRENT.get()
    if current is None:
        return MessageContext(
            message_id=message_id,
            correlation_id=message_id,
            metadata_context=metadata_context,
            headers=headers,
        )
    return MessageContext(
        message_id=message_id,
        correlation_id=current.correlation_id,
        causation_id=current.message_id,
        metadata_context=metadata_context,
        headers={**headers, **propagated_headers(current)},
    )
