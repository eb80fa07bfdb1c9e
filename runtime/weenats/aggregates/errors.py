"""What goes wrong with stored aggregates."""

from weenats.codec.operations import ContractBreachError
from weenats.errors import PermissionDeniedError, ServiceError, UnavailableError

__all__ = ["AggregateBreachError", "BrokenHistoryError", "not_available"]


class AggregateBreachError(ContractBreachError):
    """What a handler decided, or the state that its events lead to, is not what it must be.

    This is a bug of the service. It is logged, and the caller gets an InternalError.

    Args:
        message: what is wrong.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


class BrokenHistoryError(ContractBreachError):
    """The stored events of an aggregate cannot be read, or some of them are missing.

    It is logged, and the caller gets an InternalError.

    Args:
        message: what is wrong.
    """

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def not_available(aggregate: str, error: ServiceError) -> UnavailableError:
    """Return the error for callers when the stream of an aggregate cannot be used now.

    Args:
        aggregate: the name of the aggregate.
        error: why, which may name subjects.
    """
    is_denied = isinstance(error, PermissionDeniedError)  # which its description says of callers
    reason = "NATS denies the service a subject" if is_denied else type(error).description
    return UnavailableError(f"the events of {aggregate} cannot be read or stored now: {reason}")
