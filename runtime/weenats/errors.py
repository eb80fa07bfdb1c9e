"""The errors of calls: one class for each canonical code.

ServiceError
├── InvalidArgumentError        INVALID_ARGUMENT     400   the request does not match the contract
├── UnauthenticatedError        UNAUTHENTICATED      401   the token is missing or not valid
├── PermissionDeniedError       PERMISSION_DENIED    403   the caller lacks a permission
├── NotFoundError               NOT_FOUND            404   the requested entity does not exist
├── AlreadyExistsError          ALREADY_EXISTS       409   the entity to create exists already
├── AbortedError                ABORTED              409   conflict with a concurrent change
├── FailedPreconditionError     FAILED_PRECONDITION  422   the aggregate's state does not allow it
│   └── IncompatibleContractError                          the contract of the client does not fit
├── ResourceExhaustedError      RESOURCE_EXHAUSTED   429   a rate, queue or size limit is exceeded
│   └── MessageTooLargeError                               larger than the NATS server accepts
├── CancelledError              CANCELLED            499   the caller cancelled the call
├── InternalError               INTERNAL             500   the service failed; its log says why
├── UnimplementedError          UNIMPLEMENTED        501   the service does not have the operation
├── UnavailableError            UNAVAILABLE          503   the service cannot take calls now
│   ├── NoRespondersError                                  no service is subscribed to the subject
│   ├── ConnectionClosedError                              the client was closed; nothing was sent
│   ├── ConnectionLostError                                no connection to NATS; outcome unknown
│   └── WrongEventLoopError                                opened on another event loop
└── DeadlineExceededError       DEADLINE_EXCEEDED    504   the deadline of the call has passed

Errors that a contract declares are generated as subclasses of these, with a `name` and typed
`details`. `CancelledError` is not `asyncio.CancelledError`, which still means a cancelled task.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast

if TYPE_CHECKING:
    from weenats.schema import Schema

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledError",
    "Code",
    "ConnectionClosedError",
    "ConnectionLostError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "IncompatibleContractError",
    "InternalError",
    "InvalidArgumentError",
    "MessageTooLargeError",
    "NoRespondersError",
    "NotFoundError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "ServiceError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "WrongEventLoopError",
]

ErrorT = TypeVar("ErrorT", bound="ServiceError")

RETRY_AFTER: Final = "retryAfter"
"""The member of the details that holds the milliseconds to wait before a retry."""

_MAX_MILLISECONDS: Final = 2**53
"""Larger JSON numbers are not exact (RFC 7493), and integers may be too large for a float."""


class Code(StrEnum):
    """The canonical error codes, which are those of gRPC; the values are used on the wire."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    """The request does not match the contract; a retry fails in the same way."""
    UNAUTHENTICATED = "UNAUTHENTICATED"
    """The request has no token although one is required, or its token is not valid."""
    PERMISSION_DENIED = "PERMISSION_DENIED"
    """The caller is authenticated and does not have the permission for the operation."""
    NOT_FOUND = "NOT_FOUND"
    """The requested entity does not exist."""
    ALREADY_EXISTS = "ALREADY_EXISTS"
    """The entity that the request would create exists already."""
    ABORTED = "ABORTED"
    """The operation conflicts with a concurrent change; read again before a retry."""
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    """The current state of the aggregate does not allow the operation."""
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    """A rate limit, a queue limit or a size limit is exceeded."""
    CANCELLED = "CANCELLED"
    """The caller cancelled the call before it was finished."""
    INTERNAL = "INTERNAL"
    """The service failed unexpectedly; its log has the reason, the reply does not."""
    UNIMPLEMENTED = "UNIMPLEMENTED"
    """The service does not have the operation, or not in this version."""
    UNAVAILABLE = "UNAVAILABLE"
    """The service cannot take the call now; it may be retried."""
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """The deadline passed before the caller received the reply; the outcome is unknown."""


class ServiceError(Exception):
    """A call that failed; the base class of all errors of calls.

    Handlers and interceptors raise a subclass to refuse a call, and the client raises the same
    class for the caller.

    Example:
        ```python
        from weenats import NotFoundError, ResourceExhaustedError, ServiceError

        try:
            raise ResourceExhaustedError("10 requests per minute", details={"retryAfter": 1500})
        except NotFoundError:
            print("does not exist")
        except ServiceError as error:
            print(error.code, error.message, error.retry_after)  # 1.5 seconds
        ```

    Args:
        message: text that is safe for the caller to read. Default: `description` of the class.
        details: data for the caller: a JSON object, or what `details_type` declares.

    Attributes:
        code: the canonical code.
        number: the code as a number like those of HTTP, for `Nats-Service-Error-Code` (ADR-32).
        name: name of an error that a contract declares, "" for the canonical classes.
        description: default of the message.
        details_type: type of the details: a model class, or a Schema; None if the contract declares
            no details.
        message: text that is safe for the caller to read.
        details: data for the caller, None without details.
        remote: whether the service sent the error; False if this side raised it.
        of_connection: whether a connection of this side raised it, to NATS or to its streams. Its
            text may name subjects, streams, servers and files: a service does not send it.
    """

    code: ClassVar[Code] = Code.INTERNAL
    number: ClassVar[int] = 500
    name: ClassVar[str] = ""
    description: ClassVar[str] = "The call failed."
    details_type: ClassVar[type[Any] | Schema[Any] | None] = None

    # Defaults, for subclasses that do not call `super().__init__`.
    message: str = description
    details: Any = None
    """A JSON object, what `details_type` declares, or None."""
    remote: bool = False
    of_connection: bool = False

    def __init_subclass__(cls, **arguments: object) -> None:
        super().__init_subclass__(**arguments)
        cls.message = cls.description

    def __init__(self, message: str | None = None, *, details: object = None) -> None:
        self.message = self.description if message is None else message
        is_mapping = isinstance(details, Mapping)
        self.details = dict(cast("Mapping[str, Any]", details)) if is_mapping else details
        self.remote = False
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Constructors are not called: those of generated classes and of users take other arguments.
        state: Any = self.__getstate__()
        slots: dict[str, Any] = {}
        if type(self).__getstate__ is object.__getstate__ and isinstance(state, tuple):
            state, slots = cast("tuple[Any, dict[str, Any]]", state)
        return _restore, (type(self), self.args, slots), state

    def __str__(self) -> str:
        return f"{self.label}: {self.message}"

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before a retry, from `retryAfter` (ms) of the details; None without."""
        details: object = self.details
        if not isinstance(details, dict):
            return None
        value = cast("dict[str, object]", details).get(RETRY_AFTER)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value / 1000 if 0 <= value < _MAX_MILLISECONDS else None

    @property
    def label(self) -> str:
        """The code and the declared name, if any; never text from a caller or a handler."""
        return f"{self.code.value} {self.name}" if self.name else self.code.value


class InvalidArgumentError(ServiceError):
    """The request does not match the contract; a retry fails in the same way."""

    code = Code.INVALID_ARGUMENT
    number = 400
    description = "The request does not match the contract."


class UnauthenticatedError(ServiceError):
    """The request has no token although one is required, or its token is not valid."""

    code = Code.UNAUTHENTICATED
    number = 401
    description = "The caller is not authenticated."


class PermissionDeniedError(ServiceError):
    """The caller does not have the permission for the operation."""

    code = Code.PERMISSION_DENIED
    number = 403
    description = "The caller does not have the permission."


class NotFoundError(ServiceError):
    """The requested entity does not exist."""

    code = Code.NOT_FOUND
    number = 404
    description = "Not found."


class AlreadyExistsError(ServiceError):
    """The entity that the request would create exists already."""

    code = Code.ALREADY_EXISTS
    number = 409
    description = "Already exists."


class AbortedError(ServiceError):
    """The operation conflicts with a concurrent change; read again before a retry."""

    code = Code.ABORTED
    number = 409
    description = "The operation conflicts with a concurrent change."


class FailedPreconditionError(ServiceError):
    """The current state of the aggregate does not allow the operation."""

    code = Code.FAILED_PRECONDITION
    number = 422
    description = "The current state does not allow the operation."


class ResourceExhaustedError(ServiceError):
    """A rate limit, a queue limit or a size limit is exceeded."""

    code = Code.RESOURCE_EXHAUSTED
    number = 429
    description = "A rate, queue or size limit is exceeded."


class CancelledError(ServiceError):
    """The caller cancelled the call before it was finished."""

    code = Code.CANCELLED
    number = 499
    description = "The call was cancelled."


class InternalError(ServiceError):
    """The service failed unexpectedly; its log has the reason, the reply does not."""

    code = Code.INTERNAL
    number = 500
    description = "The service failed."


class UnimplementedError(ServiceError):
    """The service does not have the operation."""

    code = Code.UNIMPLEMENTED
    number = 501
    description = "The operation is not implemented."


class UnavailableError(ServiceError):
    """The service cannot take the call now; it may be retried."""

    code = Code.UNAVAILABLE
    number = 503
    description = "The service is unavailable."


class DeadlineExceededError(ServiceError):
    """The deadline of the call has passed; the caller does not know the outcome."""

    code = Code.DEADLINE_EXCEEDED
    number = 504
    description = "The deadline of the call has passed."


class MessageTooLargeError(ResourceExhaustedError):
    """Headers and payload together are larger than `max_payload` of the NATS server."""


class IncompatibleContractError(FailedPreconditionError):
    """The contract of a client is not compatible with that of a running service."""

    description = "The contract of the client is not compatible with that of the service."

    @property
    def findings(self) -> tuple[str, ...]:
        """What is not compatible, one line each: `findings` of the details."""
        details: object = self.details
        members = cast("dict[str, object]", details) if isinstance(details, dict) else {}
        found = members.get("findings")
        return tuple(map(str, cast("list[object]", found))) if isinstance(found, list) else ()


class NoRespondersError(UnavailableError):
    """No service is subscribed to the subject of the call; the call was not delivered."""


class ConnectionClosedError(UnavailableError):
    """The client or its connection was closed before: nothing was sent; not retried."""

    description = "the client was closed: nothing was sent; connect a new one"


class ConnectionLostError(UnavailableError):
    """There is no connection to NATS.

    A call that was already sent may or may not have been executed.
    """


class WrongEventLoopError(UnavailableError):
    """A connection, client or service is used on another event loop than its own; not retried.

    It belongs to the event loop that connected or started it, in the process that did so.
    """

    of_connection = True

    description = (
        "a connection belongs to the event loop that opened it: create the client, transport or"
        " service in the coroutine that uses it, or run all calls on one loop"
    )


def connection_error(kind: type[ErrorT], message: str | None = None) -> ErrorT:
    """Return a new error that is marked as one of a connection of this side; see `of_connection`.

    Args:
        kind: its class.
        message: its text, by default that of the class.
    """
    error = kind(message)
    error.of_connection = True
    return error


def _restore(
    kind: type[ServiceError], arguments: tuple[object, ...], slots: Mapping[str, Any]
) -> ServiceError:
    """Return an error without calling its constructor; pickle and copy then set its attributes."""
    base: Any = kind
    while base.__module__ != "builtins":
        base = base.__base__
    error: ServiceError = base.__new__(kind)
    error.args = arguments
    for name, value in slots.items():
        setattr(error, name, value)
    return error


CLASS_OF_CODE: Final = {kind.code.value: kind for kind in ServiceError.__subclasses__()}
"""The class of each code on the wire; error classes of contracts do not exist yet at this point."""
