"""Bytes and envelopes: the only place that knows JSON.

A request is validated in one pass by a type that holds the operation's own payload. Only when the
payload alone is at fault is the envelope read a second time, so that the interceptors can judge the
caller before the payload's faults are told. Messages are written by splicing the serialized payload
into parts that were made when the service or the client was built.
"""

from weenats.codec.events import EventCodec
from weenats.codec.failures import decode_model, encode_error_headers, encode_failure
from weenats.codec.operations import ContractBreachError, OperationCodec, ReceivedResponse, Request

__all__ = [
    "ContractBreachError",
    "EventCodec",
    "OperationCodec",
    "ReceivedResponse",
    "Request",
    "decode_model",
    "encode_error_headers",
    "encode_failure",
]
