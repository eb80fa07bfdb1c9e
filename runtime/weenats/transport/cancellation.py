"""Cancelling a request at its service."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from weenats.errors import ServiceError
from weenats.protocol.headers import DIGEST, MESSAGE_ID, NO_HEADERS, digest_of, encode

if TYPE_CHECKING:
    from weenats.transport.base import Transport

__all__ = ["send_cancellation"]


def send_cancellation(
    transport: Transport, cancel_subject: str, reply: str, message_id: str, payload: bytes
) -> None:
    """Cancel a request, with an empty message that has the same reply subject.

    Between accounts, NATS replaces reply subjects, so the message also has headers that tell which
    request it is. Others may know the id of a message; the digest shows that it is from the caller.

    Args:
        transport: the connection.
        cancel_subject: the subject for cancellations, "" for none.
        reply: the reply subject of the request.
        message_id: the id of the request, "" for none.
        payload: the payload of the request.
    """
    if not cancel_subject:
        return
    headers = {MESSAGE_ID: message_id, DIGEST: digest_of(payload)} if message_id else NO_HEADERS
    with suppress(ServiceError):
        transport.publish(cancel_subject, b"", encode(headers), reply)
