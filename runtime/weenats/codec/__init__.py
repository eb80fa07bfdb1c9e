"""Conversion between bytes and messages: requests, replies, events and errors as JSON.

A request is validated in one pass by a validator that includes the type of the operation's payload.
Only when the payload alone is invalid is the envelope read a second time, so that interceptors can
check the caller before the violations of the payload are reported. Messages are written by joining
the serialized payload with parts that were built together with the codec.
"""

from weenats.codec.events import EventCodec, event_codec
from weenats.codec.failures import decode_model, encode_error_headers, encode_failure
from weenats.codec.operations import (
    ContractBreachError,
    OperationCodec,
    ReceivedResponse,
    Request,
    operation_codec,
)

__all__ = [
    "ContractBreachError",
    "EventCodec",
    "OperationCodec",
    "ReceivedResponse",
    "Request",
    "decode_model",
    "encode_error_headers",
    "encode_failure",
    "event_codec",
    "operation_codec",
]
