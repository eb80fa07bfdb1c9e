"""Error replies, and messages that are described by one model."""

import math
import re
from functools import cache
from types import NoneType
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from weenats._internal.tasks import ends_task
from weenats.codec.json import UNREADABLE, dump_any, is_unreadable
from weenats.codec.metadata import reply_end
from weenats.codec.parts import Decoder, Encoder
from weenats.codec.reader import Reader
from weenats.codec.validators import typed_dict
from weenats.codec.violations import SchemaError, breach
from weenats.context import MessageContext
from weenats.errors import (
    AbortedError,
    CancelledError,
    Code,
    DeadlineExceededError,
    InternalError,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
)
from weenats.model import Model
from weenats.protocol import headers as header_names
from weenats.protocol import messages
from weenats.protocol.subjects import key_token
from weenats.schema.part import declared_type

__all__ = [
    "broken_rule",
    "code_of",
    "decode_model",
    "details_decoder",
    "encode_error_headers",
    "encode_failure",
    "without_key",
    "without_text",
]
ModelT = TypeVar("ModelT", bound=Model)

_MAX_HEADER_TEXT: Final = 200
_KEPT: Final[dict[Code, type[ServiceError]]] = {
    each.code: each
    for each in (
        AbortedError,
        CancelledError,
        DeadlineExceededError,
        ResourceExhaustedError,
        UnavailableError,
    )
}
"""The errors of connections that say something to a caller: it may try again, or not."""
_MEMBERS: Final[dict[str, type | tuple[type, ...]]] = {
    "code": Code,
    "number": int,
    "name": str,
    "message": str,
    "label": str,
    "retry_after": (float, NoneType),
    "remote": bool,
    "of_connection": bool,
    "details_type": object,  # any: only that reading it does not raise
    "details": object,
}
_PLAIN: Final = (dict, Model, NoneType)
"""The types of details of an error that declares none."""


def broken_rule(error: ServiceError) -> str:
    """Return which rule of errors an error breaks, "" if it obeys them.

    Args:
        error: the error, perhaps of a class that a user defined.
    """
    for name, kind in _MEMBERS.items():
        try:
            value: object = getattr(error, name)
        except BaseException as raised:  # of a property
            if ends_task(raised):
                raise
            return f"its {name} raises {type(raised).__name__}"
        if not issubclass(type(value), kind):  # `isinstance` asks the value for its class as well
            return f"its {name} is of the type {type(value).__name__}"
    details: object = error.details
    if error.details_type is None and not issubclass(type(details), _PLAIN):
        return f"its details are of the type {type(details).__name__}"
    return ""


def code_of(error: BaseException) -> Code | None:
    """Return the code of an error, None for other exceptions and for an error that breaks a rule.

    Args:
        error: any exception.
    """
    return error.code if isinstance(error, ServiceError) and not broken_rule(error) else None


def without_key(error: ServiceError, key: str) -> str:
    """Return the text of an error of a connection for the log, which has no keys of aggregates.

    Args:
        error: the error, whose text may have the subject of a stream.
        key: the key of the request, "" for none.
    """
    if not key:
        return str(error)
    names = "|".join(map(re.escape, (key, key_token(key))))
    return re.sub(rf"(?<![\w=-])({names})(?![\w=-])", "KEY", str(error))


def without_text(error: ServiceError) -> ServiceError:
    """Return what the caller of a handler gets in place of an error of a connection.

    That a subject is denied, or a setting is wrong, is a fault of the service.

    Args:
        error: the error.
    """
    return _KEPT.get(error.code, InternalError)()


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
        ValueError: the same, for example NaN, or they could not be read again.
    """
    body = dump_any({"code": error.code.value, "message": error.message})
    details = _encode_details(error)
    if is_unreadable(details):
        raise ValueError(UNREADABLE)
    if details:
        body = b'%b,"details":%b}' % (body[:-1], details)
    end = b',"duration":%.3f}' % duration if request is None else reply_end(duration, request)
    return b'{"success":false,"error":%b%b' % (body, end)


def _encode_details(error: ServiceError) -> bytes:
    """Return the details of an error as JSON, b"" without details."""
    if not error.name:
        return b"" if error.details is None else dump_any(error.details)
    details_type: Any = error.details_type
    if details_type is not None:
        data = _details_encoder(details_type).encode(error.details)
        return b'{"error":%b,"data":%b}' % (dump_any(error.name), data)
    details = {} if error.details is None else {"data": error.details}
    return dump_any({"error": error.name, **details})


@cache
def _details_encoder(declared: Any) -> Encoder:
    return Encoder(declared)


@cache
def details_decoder(declared: Any) -> Decoder:
    """Return what decodes error replies with details that a contract declares.

    Args:
        declared: the type of the details.
    """
    details = typed_dict(messages.DeclaredErrorDetails, data=declared_type(declared))
    body = typed_dict(messages.ErrorBody, details=details)
    failure = typed_dict(messages.Failure, error=body, metadata=None)
    return Decoder(failure, declared, ("error", "details", "data"))


def encode_error_headers(
    error: ServiceError, *, executed: bool = False, is_short: bool = False
) -> bytes:
    """Return the header lines of an error reply.

    Args:
        error: the error.
        executed: whether the handler of the request had begun.
        is_short: whether to leave out its text, for servers that carry very small messages only.
    """
    text = "".join(
        character if character.isprintable() else " "
        for character in error.message[: 0 if is_short else _MAX_HEADER_TEXT]
    )
    lines = {
        header_names.ERROR: text.strip() or error.code.value,
        header_names.ERROR_CODE: str(error.number),
    }
    if (retry_after := error.retry_after) is not None:
        lines[header_names.RETRY_AFTER] = str(math.ceil(round(retry_after * 1000, 3)))
    if error.code is Code.UNAUTHENTICATED:
        # Remote: another service refused the token of an interceptor, not this one its caller's.
        lines[header_names.TOKEN_REFUSED] = "false" if executed or error.remote else "true"
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
        kind: Any = model
        _reader(kind).decode(data)
        return model.model_validate_json(data, by_name=False)
    except (SchemaError, ValidationError) as error:
        failure = breach(f"the message is not a valid {model.__name__}", error, data)
    raise failure  # outside of `except`, as in `operations`


@cache
def _reader(model: Any) -> Reader:
    return Reader(typed_dict(model))  # within a model, the rules of quiet validators do not hold
