"""The metadata of messages as JSON text: most of it is ids and times that need no escaping."""

from pydantic_core import to_json

from weenats.codec.json import dump_any, quoted
from weenats.context import MessageContext
from weenats.protocol.identifiers import STAMPER, check_token

__all__ = ["message_metadata", "reply_end"]


def message_metadata(context: MessageContext, token: str | None = None) -> bytes:
    """Return the metadata of a request or an event.

    Args:
        context: the message.
        token: the token of the caller, None without one.
    """
    text = (
        f'{{"messageId":"{context.message_id}","timestamp":"{context.timestamp}",'
        f'"correlation":{{"correlationId":{quoted(context.correlation_id)}'
    )
    if context.causation_id is not None:
        text += f',"causationId":{quoted(context.causation_id)}'
    values = context.metadata_context
    if not values and token is None:
        return f"{text}}}}}".encode()
    metadata = f"{text}}}".encode()
    if values:
        metadata += b',"context":%b' % dump_any(values)
    if token is not None:
        metadata += b',"authentication":{"type":"jwt","token":%b}' % to_json(check_token(token))
    return metadata + b"}"


def reply_end(duration: float, request: MessageContext) -> bytes:
    """Return the members that all replies to decoded requests end with.

    Args:
        duration: the duration of the request in milliseconds.
        request: the request.
    """
    message_id, timestamp = STAMPER.stamp()
    return (
        f',"duration":{duration:.3f},"metadata":{{"messageId":"{message_id}","timestamp":'
        f'"{timestamp}","correlation":{{"correlationId":{quoted(request.correlation_id)},'
        f'"causationId":"{request.message_id}"}}}}}}'
    ).encode()
