"""A received request, of which only what every request needs was read.

Errors are raised outside of `except`, as in `operations`.
"""

from collections.abc import Callable, Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from weenats.codec.json import has_constants, has_overflow, reject_constants
from weenats.codec.reader import Reader
from weenats.codec.validators import typed_dict
from weenats.codec.violations import (
    SchemaError,
    Violation,
    invalid,
    not_finite,
    violations,
    violations_of,
)
from weenats.context import received_context
from weenats.errors import InvalidArgumentError, ServiceError
from weenats.protocol import messages

__all__ = ["METADATA_HEAD", "NOT_JSON", "Metadata", "Request", "invalid_envelope"]
_Read = Callable[[str, bytes, slice | None], object]
Metadata = tuple[str, str, str | None, str | None, str | None]
"""The message id, the timestamp, the correlation id, the causation id and the token of a request;
the last three are None where it has none."""
NOT_JSON: Final = "the request is not valid JSON"
_MAY_BE_NULL: Final = b"n \t\r\n"
"""What null begins with, and white space, which may be before it."""
METADATA_HEAD: Final = b',"metadata":'
_CONTEXT_HEAD: Final = b',"context":'
_TOKEN_HEAD: Final = b',"authentication":'


class Request:
    """A received request, whose payload and context are unread until somebody asks for them.

    Nothing of what is unread was looked at, so that callers whom an interceptor refuses learn
    nothing about its validity, neither from the error nor from the time that it takes.

    Args:
        key: the key of the aggregate, "" without one.
        metadata: ids, timestamp and token, None when the message has no metadata.
        has_context: whether it has `metadata.context`, which is unread.
        read: checks the key and the payload and returns the payload, or raises what is wrong with
            them; it gets `key`, `data` and `place`.
        data: the bytes of the request.
        place: where the payload is in `data`, None when that is not known.

    Attributes:
        key: the key of the aggregate, "" without one.
        metadata: ids, timestamp and token, None when the message has no metadata.
        has_context: whether it has `metadata.context`, which is unread.
        error: what was wrong with the key or the payload when they were read, None when they are
            valid or unread.
    """

    __slots__ = ("_data", "_payload", "_place", "_read", "error", "has_context", "key", "metadata")

    def __init__(  # noqa: PLR0913, PLR0917 - one slot each
        self,
        key: str,
        metadata: Metadata | None,
        has_context: bool,  # noqa: FBT001 - each request
        read: _Read,
        data: bytes,
        place: slice | None,
    ) -> None:
        self.key = key
        self.metadata = metadata
        self.has_context = has_context
        self.error: ServiceError | None = None
        self._payload: object = None
        self._read: _Read | None = read
        self._data = data
        self._place = place

    @property
    def may_be_null(self) -> bool:
        """Whether its payload is null, or is not known to be another value."""
        return self._place is None or self._data[self._place.start] in _MAY_BE_NULL

    def withhold(self, error: Exception) -> None:
        """Let reading the payload fail, as it is not in the request but in the object store.

        Args:
            error: what reading it raises.
        """
        self._read = partial(_refuse_to_read, error)

    def read_context(self) -> Mapping[str, JsonValue]:
        """Check `metadata.context`, and return its values, read-only.

        Raises:
            InvalidArgumentError: it is invalid.
        """
        part = b"" if self._place is None else self._context_part(self._place)
        if part and not has_constants(part) and not has_overflow(part):
            try:
                return MappingProxyType(_context_reader().read(part))
            except ValueError:
                pass  # it is elsewhere, or the whole request shows what is wrong, and where
        failure: ServiceError
        try:
            reject_constants(self._data)
            envelope = _metadata_reader().decode(self._data)
        except (SchemaError, ValidationError) as error:
            failure = invalid_envelope(violations_of(error), _metadata_reader().names)
        except ValueError as error:
            failure = InvalidArgumentError(NOT_JSON, details={"violations": violations(error)})
        else:
            found = not_finite(envelope, ("metadata", "context"))
            if not found:
                return received_context(envelope.get("metadata", {}))
            failure = invalid_envelope(found, _metadata_reader().names)
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


def invalid_envelope(found: list[Violation], names: frozenset[str]) -> InvalidArgumentError:
    """Return the error that reports violations of the envelope of a request.

    Args:
        found: one or more violations.
        names: the names of the members of envelopes.
    """
    return invalid("the request envelope is invalid", [each.declared(names) for each in found])


@cache
def _context_reader() -> Reader:
    return Reader(dict[str, Any])


@cache
def _metadata_reader() -> Reader:
    return Reader(typed_dict(messages.CommandRequest, aggregateId=None, command=None))


def _refuse_to_read(error: Exception, key: str, data: bytes, place: slice | None) -> object:
    """Raise that the payload is not there."""
    del key, data, place
    raise error
