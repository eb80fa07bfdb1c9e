"""The metadata of messages as JSON text: most of it is ids and times that need no escaping."""

import re
from typing import Final

from pydantic_core import to_json

from weenats.codec.json import dump_any, quoted
from weenats.context import MessageContext
from weenats.protocol.identifiers import STAMPER, check_token

__all__ = ["TEXT", "TIMESTAMP", "ULID", "WRITTEN", "message_metadata", "reply_end"]
TEXT: Final = r"[ !#-\[\]-~]{1,128}"
"""Printable ASCII that is not escaped in JSON."""
ULID: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
TIMESTAMP: Final = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)\.[0-9]{3}Z"
)
WRITTEN: Final = re.compile(
    rf'\{{"messageId":"({ULID})","timestamp":"({TIMESTAMP})",'
    rf'"correlation":\{{"correlationId":"({TEXT})"(?:,"causationId":"({TEXT})")?\}}'
    r'(?:,"authentication":\{"type":"jwt","token":"([!#-\[\]-~]+)"\})?\}\}'
).fullmatch
"""Matches the end of a request or an event, from its metadata on, as `message_metadata` writes it
without context: half as long as a validator takes, and the groups are what the validator would
return."""


def message_metadata(context: MessageContext, token: str | None = None) -> bytes:
    """Return the metadata of a request or an event.

    Args:
        context: the message.
        token: the token of the caller, None without one.
    """
    message_id, correlation = context.message_id, context.correlation_id
    # An id of ours has nothing to escape.
    correlation = f'"{message_id}"' if correlation is message_id else quoted(correlation)
    text = (
        f'{{"messageId":"{message_id}","timestamp":"{context.timestamp}",'
        f'"correlation":{{"correlationId":{correlation}'
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
