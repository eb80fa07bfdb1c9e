"""Which messages are replies, and the errors of services that speak ADR-32 alone.

A JetStream stream that stores the subject of a request replies to it as well, usually first.
"""

from typing import Any, Final, cast

from pydantic_core import from_json

from weenats.codec.json import has_many_values
from weenats.errors import (
    CLASS_OF_CODE,
    AbortedError,
    InternalError,
    InvalidArgumentError,
    ServiceError,
)
from weenats.protocol import headers as header_names
from weenats.transport.base import Delivery

__all__ = ["error_in_headers", "is_acknowledgement", "is_answer", "is_reply"]
_ENVELOPE: Final = b'{"success":'
_CLASS_OF_NUMBER: Final[dict[str, type[ServiceError]]] = {
    **{str(kind.number): kind for kind in CLASS_OF_CODE.values()},
    "409": AbortedError,
}


def is_reply(delivery: Delivery) -> bool:
    """Return whether a message is the reply to a call.

    Args:
        delivery: the message.
    """
    payload = delivery.payload
    if payload.startswith(_ENVELOPE) or _has_error(delivery):
        return True
    if b'"success"' not in payload:
        return False
    document = None if has_many_values(payload) else _object_in(payload)
    return document is None or "success" in document


def is_answer(delivery: Delivery) -> bool:
    """Return whether a message is an answer to a discovery or health request.

    Args:
        delivery: the message.
    """
    return not is_acknowledgement(delivery.payload)


def is_acknowledgement(payload: bytes) -> bool:
    """Return whether a message is how a JetStream stream acknowledges that it stored another one.

    Args:
        payload: the payload of the message.
    """
    if b'"stream"' not in payload or b'"seq"' not in payload or has_many_values(payload):
        return False
    document = _object_in(payload)
    return document is not None and {"stream", "seq"} <= document.keys()


def error_in_headers(delivery: Delivery) -> ServiceError | None:
    """Return the error in the headers of a reply (ADR-32), None when there is none.

    Args:
        delivery: the reply.
    """
    if not _has_error(delivery):
        return None
    number = delivery.headers.get(header_names.ERROR_CODE, "")
    text = delivery.headers.get(header_names.ERROR) or None
    kind = CLASS_OF_CODE.get(text or "")
    if kind is not None:  # the code in place of a text that does not fit into a message
        text = None
    else:
        kind = _CLASS_OF_NUMBER.get(number)
    if kind is None:
        kind = InvalidArgumentError if number.startswith("4") else InternalError
    error = kind(text)
    error.remote = True
    return error


def _has_error(delivery: Delivery) -> bool:
    headers = delivery.headers
    return header_names.ERROR_CODE in headers or header_names.ERROR in headers


def _object_in(payload: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a message, None when it is not one."""
    try:
        document: object = from_json(payload)
    except ValueError:
        return None
    return cast("dict[str, Any]", document) if isinstance(document, dict) else None
