"""Error replies, and messages that are described by one model."""

import math
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from weenats.codec.json import dump_any
from weenats.codec.metadata import reply_metadata
from weenats.codec.violations import breach
from weenats.context import MessageContext
from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol import headers as header_names

__all__ = ["decode_model", "encode_error_headers", "encode_failure"]
ModelT = TypeVar("ModelT", bound=Model)

_MAX_HEADER_TEXT: Final = 200


def encode_failure(error: ServiceError, duration: float, request: MessageContext | None) -> bytes:
    """Encode an error reply.

    Args:
        error: the error.
        duration: the duration of the request in milliseconds.
        request: the request; None when its envelope is not valid.

    Returns:
        The bytes of the reply.

    Raises:
        TypeError: the details of the error cannot be serialized.
        ValueError: the same, for example NaN.
    """
    details = error.details
    if error.name:
        details = {"error": error.name} | ({} if details is None else {"data": details})
    body: dict[str, Any] = {"code": error.code.value, "message": error.message}
    if details is not None:
        body["details"] = details
    metadata = b"" if request is None else b',"metadata":' + reply_metadata(request)
    return b'{"success":false,"error":%b,"duration":%.3f%b}' % (dump_any(body), duration, metadata)


def encode_error_headers(error: ServiceError) -> bytes:
    """Return the header lines of an error reply.

    Args:
        error: the error.
    """
    text = "".join(
        character if character.isprintable() else " "
        for character in error.message[:_MAX_HEADER_TEXT]
    )
    lines = {
        header_names.ERROR: text.strip() or error.code.value,
        header_names.ERROR_CODE: str(error.number),
    }
    if (retry_after := error.retry_after) is not None:
        lines[header_names.RETRY_AFTER] = str(math.ceil(round(retry_after * 1000, 3)))
    return header_names.encode(lines)


def decode_model(model: type[ModelT], data: bytes) -> ModelT:
    """Decode a message that is described by one model.

    Args:
        model: the model.
        data: the bytes of the message.

    Returns:
        An instance of the model.

    Raises:
        InternalError: the message is not valid.
    """
    try:
        return model.model_validate_json(data, by_name=False)
    except ValidationError as error:
        raise breach(f"the message is not a valid {model.__name__}", error, data) from None
