"""A received request, of which only what every request needs was read.

Errors are raised outside of `except`, as in `operations`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import JsonValue, TypeAdapter, ValidationError

from weenats.codec.json import has_constants, reject_constants
from weenats.codec.validators import STRICT, typed_dict, validator
from weenats.codec.violations import invalid, violations_of
from weenats.context import received_context
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.protocol import messages

__all__ = ["INVALID_ENVELOPE", "METADATA_HEAD", "NOT_JSON", "Request"]
_Read = Callable[[str, bytes, slice | None], object]
INVALID_ENVELOPE: Final = "the request envelope is invalid"
NOT_JSON: Final = "the request is not valid JSON"
METADATA_HEAD: Final = b',"metadata":'
_CONTEXT_HEAD: Final = b',"context":'
_TOKEN_HEAD: Final = b',"authentication":'
_CONTEXT: Final = TypeAdapter(dict[str, Any], config=STRICT).validator
_METADATA: Final = validator(typed_dict(messages.CommandRequest, aggregateId=None, command=None))


class Request:
    """A received request, whose payload and context are unread until somebody asks for them.

    Nothing of what is unread was looked at, so that callers whom an interceptor refuses learn
    nothing about its validity, neither from the error nor from the time that it takes.

    Args:
        key: the key of the aggregate, "" without one.
        metadata: the metadata of the message as on the wire, None when there is none; the value of
            `context` is unread.
        read: checks the key and the payload and returns the payload, or raises what is wrong with
            them; it gets `key`, `data` and `place`.
        data: the bytes of the request.
        place: where the payload is in `data`, None when that is not known.

    Attributes:
        key: the key of the aggregate, "" without one.
        metadata: the metadata of the message as on the wire, None when there is none; the value of
            `context` is unread.
        error: what was wrong with the key or the payload when they were read, None when they are
            valid or unread.
    """

    __slots__ = ("_data", "_payload", "_place", "_read", "error", "key", "metadata")

    def __init__(
        self,
        key: str,
        metadata: dict[str, Any] | None,
        read: _Read,
        data: bytes,
        place: slice | None,
    ) -> None:
        self.key = key
        self.metadata = metadata
        self.error: ServiceError | None = None
        self._payload: object = None
        self._read: _Read | None = read
        self._data = data
        self._place = place

    def read_context(self) -> Mapping[str, JsonValue]:
        """Check `metadata.context`, and return its values, read-only.

        Raises:
            InvalidArgumentError: it is invalid.
        """
        if self._place is not None and not has_constants(part := self._context_part(self._place)):
            try:
                return MappingProxyType(_CONTEXT.validate_json(part))
            except ValidationError:
                pass  # it is elsewhere, or the whole request shows what is wrong, and where
        failure: ServiceError
        try:
            reject_constants(self._data)
            envelope = _METADATA.validate_json(self._data, by_name=False)
        except ValidationError as error:
            failure = invalid(INVALID_ENVELOPE, violations_of(error))
        except ValueError as error:
            found = [each.as_dict() for each in violations_of(error)]
            failure = InvalidArgumentError(NOT_JSON, details={"violations": found})
        else:
            return received_context(envelope.get("metadata", {}))
        raise failure

    def _context_part(self, payload: slice) -> bytes:
        """Return the context as clients write it: before the token, or at the end."""
        data = self._data
        start = data.find(_CONTEXT_HEAD, payload.stop)
        end = data.rfind(_TOKEN_HEAD, start)
        return data[start + len(_CONTEXT_HEAD) : -2 if end < 0 else end]

    def read_payload(self) -> object:
        """Check the key and the payload, once, and return the payload; None when there is none.

        Raises:
            InvalidArgumentError: one of them breaks the contract.
        """
        if self.error is not None:
            raise self.error
        read = self._read
        if read is not None:
            self._read = None
            try:
                self._payload = read(self.key, self._data, self._place)
            except ServiceError as error:
                self.error = error
                raise
        return self._payload
