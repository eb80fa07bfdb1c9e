"""Every error a call can end in, one class a canonical code.

ServiceError
├── InvalidArgumentError        INVALID_ARGUMENT     400   the request breaks the contract
├── UnauthenticatedError        UNAUTHENTICATED      401   the caller did not prove who it is
├── PermissionDeniedError       PERMISSION_DENIED    403   the caller is known and may not
├── NotFoundError               NOT_FOUND            404   what the request names does not exist
├── AlreadyExistsError          ALREADY_EXISTS       409   what the request creates exists
├── AbortedError                ABORTED              409   a concurrent change won
├── FailedPreconditionError     FAILED_PRECONDITION  422   the aggregate's state does not allow it
├── ResourceExhaustedError      RESOURCE_EXHAUSTED   429   a quota, a queue or a size is used up
│   └── MessageTooLargeError                               more bytes than the NATS server carries
├── CancelledError              CANCELLED            499   the call was given up
├── InternalError               INTERNAL             500   the service failed; its log says why
├── UnimplementedError          UNIMPLEMENTED        501   the service does not offer the operation
├── UnavailableError            UNAVAILABLE          503   nobody could take the call now
│   ├── NoRespondersError                                  nobody listens on the subject
│   └── ConnectionLostError                                NATS is gone; the outcome is unknown
└── DeadlineExceededError       DEADLINE_EXCEEDED    504   the time of the call ran out

An error that a contract declares is a generated subclass of one of these, with a `name` and typed
`details`. `CancelledError` is not `asyncio.CancelledError`: a cancelled task stays cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

if TYPE_CHECKING:
    from weenats.model import Model


RETRY_AFTER: Final = "retryAfter"
"""The member of details that says after how many milliseconds another try makes sense."""

_MAX_MILLISECONDS: Final = 2**53
"""Beyond it JSON numbers are not exact (RFC 7493); an integer may be too large for a float."""


class Code(StrEnum):
    """The canonical codes; the values are the words on the wire."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    ABORTED = "ABORTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    CANCELLED = "CANCELLED"
    INTERNAL = "INTERNAL"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


class ServiceError(Exception):
    """A call that failed.

    Handlers and interceptors raise it to refuse; clients see the same class again.

    Attributes:
        code: the canonical code.
        number: the code as HTTP-like number, the text of `Nats-Service-Error-Code` (ADR-32).
        name: the name of the error in the contract that declares it, "" for the canonical classes.
        description: the message when none is given.
        message: text that is safe for the caller to read.
        details: what the caller may act on; typed when the contract declares it.
        remote: True when the service said so, False when this side found out by itself.
    """

    code: ClassVar[Code] = Code.INTERNAL
    number: ClassVar[int] = 500
    name: ClassVar[str] = ""
    description: ClassVar[str] = "The call failed."
    details_type: ClassVar[type[Model] | None] = None

    details: Any
    """A JSON object, a Model, or None."""

    def __init__(
        self, message: str | None = None, *, details: Mapping[str, Any] | Model | None = None
    ) -> None:
        self.message = self.description if message is None else message
        self.details = dict(details) if isinstance(details, Mapping) else details
        self.remote = False
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.message, self.details, self.remote)

    def __str__(self) -> str:
        return f"{self.label}: {self.message}"

    @property
    def retry_after(self) -> float | None:
        """Seconds after which another try makes sense, as `retryAfter` (ms) of the details says.

        None when nobody said; what is no number of milliseconds says nothing.
        """
        details: object = self.details
        value = (
            cast("dict[str, object]", details).get(RETRY_AFTER)
            if isinstance(details, dict)
            else None
        )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value / 1000 if 0 <= value < _MAX_MILLISECONDS else None

    @property
    def label(self) -> str:
        """The code, and the declared name when there is one.

        Never text of a caller or a handler.
        """
        return f"{self.code.value} {self.name}" if self.name else self.code.value


def _restore(kind: type[ServiceError], message: str, details: Any, remote: bool) -> ServiceError:  # noqa: ANN401, FBT001 - what __reduce__ kept
    """Make a copied or unpickled error; generated constructors take keywords only."""
    error = kind.__new__(kind, message)
    ServiceError.__init__(error, message, details=details)
    error.remote = remote
    return error


class InvalidArgumentError(ServiceError):
    """The request breaks the contract; sending it again cannot help."""

    code = Code.INVALID_ARGUMENT
    number = 400
    description = "The request breaks the contract."


class UnauthenticatedError(ServiceError):
    """The caller did not prove who it is."""

    code = Code.UNAUTHENTICATED
    number = 401
    description = "The caller is not authenticated."


class PermissionDeniedError(ServiceError):
    """The caller may not do this."""

    code = Code.PERMISSION_DENIED
    number = 403
    description = "The caller may not do this."


class NotFoundError(ServiceError):
    """What the request names does not exist."""

    code = Code.NOT_FOUND
    number = 404
    description = "Not found."


class AlreadyExistsError(ServiceError):
    """What the request would create exists already."""

    code = Code.ALREADY_EXISTS
    number = 409
    description = "It exists already."


class AbortedError(ServiceError):
    """A concurrent change won; reading again and retrying may help."""

    code = Code.ABORTED
    number = 409
    description = "A concurrent change won."


class FailedPreconditionError(ServiceError):
    """The state of the aggregate does not allow the operation."""

    code = Code.FAILED_PRECONDITION
    number = 422
    description = "The state does not allow it."


class ResourceExhaustedError(ServiceError):
    """A quota, a queue or a size is used up."""

    code = Code.RESOURCE_EXHAUSTED
    number = 429
    description = "Too much at once."


class CancelledError(ServiceError):
    """The call was given up before it ended."""

    code = Code.CANCELLED
    number = 499
    description = "The call was cancelled."


class InternalError(ServiceError):
    """The service failed; its log says why, the reply does not."""

    code = Code.INTERNAL
    number = 500
    description = "The service failed."


class UnimplementedError(ServiceError):
    """The service does not offer the operation."""

    code = Code.UNIMPLEMENTED
    number = 501
    description = "The operation is not implemented."


class UnavailableError(ServiceError):
    """Nobody could take the call now; it may be tried again."""

    code = Code.UNAVAILABLE
    number = 503
    description = "The service is unavailable."


class DeadlineExceededError(ServiceError):
    """The time of the call ran out; its outcome is unknown to the caller."""

    code = Code.DEADLINE_EXCEEDED
    number = 504
    description = "The deadline of the call has passed."


class MessageTooLargeError(ResourceExhaustedError):
    """Headers and payload together are more than the NATS server carries (its `max_payload`)."""


class NoRespondersError(UnavailableError):
    """Nobody listens on the subject of the call; it was not delivered."""


class ConnectionLostError(UnavailableError):
    """The connection to NATS is gone.

    A call that was under way may or may not have been executed.
    """


CLASS_OF_CODE: dict[str, type[ServiceError]] = {
    error.code.value: error
    for error in (
        InvalidArgumentError,
        UnauthenticatedError,
        PermissionDeniedError,
        NotFoundError,
        AlreadyExistsError,
        AbortedError,
        FailedPreconditionError,
        ResourceExhaustedError,
        CancelledError,
        InternalError,
        UnimplementedError,
        UnavailableError,
        DeadlineExceededError,
    )
}
"""The one table from the code on the wire to the class."""
