"""Metadata blocks, written as text: most of a block is ids and times that need no escaping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_core import to_json

from weenats.codec.json import dump_open, quoted
from weenats.protocol.identifiers import STAMPER, check_token

if TYPE_CHECKING:
    from weenats.context import MessageContext, RequestContext


def request_metadata(context: RequestContext) -> bytes:
    """Return the metadata of a request that is sent."""
    metadata = message_metadata(context, STAMPER.timestamp)
    if context.token is None:
        return metadata
    return b'%b,"authentication":{"type":"jwt","token":%b}}' % (
        metadata[:-1],
        to_json(check_token(context.token)),
    )


def message_metadata(context: MessageContext, timestamp: str) -> bytes:
    """Return the metadata of a message that is sent."""
    text = (
        f'{{"messageId":"{context.message_id}","timestamp":"{timestamp}",'
        f'"correlation":{{"correlationId":{quoted(context.correlation_id)}'
    )
    if context.causation_id is not None:
        text += f',"causationId":{quoted(context.causation_id)}'
    if not context.metadata_context:
        return f"{text}}}}}".encode()
    return b'%b},"context":%b}' % (
        text.encode(),
        dump_open(context.metadata_context),
    )


def reply_metadata(request: MessageContext) -> bytes:
    """Return the metadata of the reply to a request."""
    message_id = STAMPER.stamp()
    return (
        f'{{"messageId":"{message_id}","timestamp":"{STAMPER.timestamp}","correlation":'
        f'{{"correlationId":{quoted(request.correlation_id)},"causationId":"{request.message_id}"}}}}'
    ).encode()
