"""The metadata of messages as JSON text: most of it is ids and times that need no escaping."""

from pydantic_core import to_json

from weenats.codec.json import dump_any, quoted
from weenats.context import MessageContext, RequestContext
from weenats.protocol.identifiers import STAMPER, check_token

__all__ = ["message_metadata", "reply_end", "request_metadata"]


def request_metadata(context: RequestContext) -> bytes:
    """Return the metadata of a request, with the token of the caller.

    Args:
        context: the request.
    """
    metadata = message_metadata(context)
    if context.token is None:
        return metadata
    return b'%b,"authentication":{"type":"jwt","token":%b}}' % (
        metadata[:-1],
        to_json(check_token(context.token)),
    )


def message_metadata(context: MessageContext) -> bytes:
    """Return the metadata of a request or an event.

    Args:
        context: the message.
    """
    text = (
        f'{{"messageId":"{context.message_id}","timestamp":"{context.timestamp}",'
        f'"correlation":{{"correlationId":{quoted(context.correlation_id)}'
    )
    if context.causation_id is not None:
        text += f',"causationId":{quoted(context.causation_id)}'
    if not context.metadata_context:
        return f"{text}}}}}".encode()
    return b'%b},"context":%b}' % (text.encode(), dump_any(context.metadata_context))


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
