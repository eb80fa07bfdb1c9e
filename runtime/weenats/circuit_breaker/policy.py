"""Settings of circuit breakers, and the change of state that a listener receives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from errno import EFBIG, EILSEQ, EINVAL, ENAMETOOLONG, EOVERFLOW
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats._internal.validation import check_integer, check_plain
from weenats.codec.failures import code_of
from weenats.codec.operations import ContractBreachError
from weenats.errors import Code, ServiceError
from weenats.protocol.timeouts import seconds

if TYPE_CHECKING:
    from collections.abc import Collection

    from weenats.circuit_breaker.state import CircuitState
    from weenats.protocol.timeouts import Clock

__all__ = [
    "CircuitBreakerPolicy",
    "CircuitStateChange",
    "IsFailure",
    "Listener",
    "Scope",
    "counts_as_failure",
    "is_failure_by_default",
]
_LOG: Final = LimitedLogger("weenats.circuit_breaker")
_MODULES_OF_DEPENDENCIES: Final = frozenset(
    {
        "asyncio",
        "concurrent",
        "http",
        "multiprocessing",
        "smtplib",
        "socket",
        "sqlite3",
        "ssl",
        "urllib",
    }
)
"""Modules of Python whose exceptions are about something that a handler depends on."""
_ABOUT_DATA: Final = frozenset({"DataError", "IntegrityError"})
"""What database drivers raise about values, by the names that PEP 249 gives to these classes."""
_SQLSTATES_ABOUT_DATA: Final = ("22", "23")
"""The same for drivers with other names: classes of the SQLSTATE that is a member of the error."""
_ABOUT_VALUES: Final = (EFBIG, EILSEQ, EINVAL, ENAMETOOLONG, EOVERFLOW)
"""What the system answers when an argument is wrong, such as a time that is too far away."""
_FAILURE_CODES: Final = frozenset({Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED})

Scope = Literal["operation", "service"]
"""One circuit breaker for each operation, or one for all operations of the service."""

EVERY_OPERATION: Final = "*"
"""`CircuitStateChange.operation` of a circuit breaker for all operations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitStateChange:
    """A change of the state of a circuit breaker.

    Attributes:
        service: name of the service.
        operation: name of the operation, "*" if the circuit breaker is for all operations.
        old: state before the change.
        new: state after the change.
        failures: number of failures in the monitoring window.
        next_trial: seconds until the circuit breaker half-opens, None if the new state is not open.
    """

    service: str
    operation: str
    old: CircuitState
    new: CircuitState
    failures: int
    next_trial: float | None


IsFailure = Callable[[Exception], bool]
"""Returns whether an exception from a handler counts as a failure."""
Listener = Callable[[CircuitStateChange], None]
"""Receives every change of state; it must not block or raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """When circuit breakers open, and when they close again.

    Attributes:
        failure_threshold: number of failures within the window that opens a circuit breaker.
        recovery_timeout: seconds from opening to half-opening; also the seconds after which a
            trial call that hangs no longer counts.
        monitoring_window: seconds for which a failure counts.
        half_open_max_calls: number of trial calls in the half-open state; if all succeed, the
            circuit breaker closes.
        scope: "operation" or "service": one circuit breaker each, or one for all operations.
        is_failure: decides which exceptions count as failures, instead of the default.
        listener: receives every change of state.
        clock: monotonic time in seconds.

    Raises:
        ValueError: a number is not a positive integer, or the scope is unknown.
        InvalidArgumentError: a duration is not positive and finite.
        TypeError: `is_failure` or `listener` is not a plain function.
    """

    failure_threshold: int = 5
    recovery_timeout: float = 30.0
    monitoring_window: float = 60.0
    half_open_max_calls: int = 1
    scope: Scope = "operation"
    is_failure: IsFailure | None = None
    listener: Listener | None = None
    clock: Clock = monotonic

    def __post_init__(self) -> None:
        for name in ("failure_threshold", "half_open_max_calls"):
            check_integer(name, getattr(self, name), 1, sys.maxsize)
        for name in ("recovery_timeout", "monitoring_window"):
            object.__setattr__(self, name, seconds(getattr(self, name), name))
        if self.scope not in get_args(Scope):
            raise ValueError(f'scope is "operation" or "service", not {self.scope!r}')
        for name in ("is_failure", "listener"):
            if (function := getattr(self, name)) is not None:
                check_plain(function, name)


def counts_as_failure(
    error: Exception,
    declared: Collection[type[ServiceError]],
    is_failure: IsFailure | None,
    subject: str,
) -> bool | None:
    """Return whether an exception of a handler counts as a failure.

    Args:
        error: the exception.
        declared: the errors that the contract declares for the operation.
        is_failure: decides in place of the default, unless it raises.
        subject: what the handler is for, in the log.

    Returns:
        Whether it is a failure; None when it counts neither as a failure nor as a success.
    """
    if is_failure is not None:
        try:
            return bool(is_failure(error))
        except BaseException as raised:  # the error of the handler is the one to raise
            if ends_task(raised):
                raise
            _LOG.exception("is_failure raised for %s; the default decides instead", subject)
    return is_failure_by_default(error, declared)


def is_failure_by_default(
    error: Exception, declared: Collection[type[ServiceError]]
) -> bool | None:
    """Return whether an exception of a handler counts as a failure, without `is_failure`.

    One caller must not open a circuit breaker for all: failures are the exceptions that say
    something about the handler and what it depends on, whatever the request holds. These are
    INTERNAL, UNAVAILABLE and DEADLINE_EXCEEDED that the contract does not declare, and exceptions
    other than ServiceError that may come from a dependency, see `_may_be_of_dependency`.

    Other exceptions count as neither, for callers choose the values that they are about, and so do
    results, events and states that break the contract, and INTERNAL of a nested call, which may be
    one at the other service. Other errors of services are successes of the handler. A group counts
    as the worst of its exceptions.

    Args:
        error: the exception.
        declared: the errors that the contract declares for the operation.

    Returns:
        Whether it is a failure; None when it counts neither as a failure nor as a success.
    """
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        verdicts = [is_failure_by_default(each, declared) for each in group.exceptions]
        return True if True in verdicts else None
    if not isinstance(error, ServiceError):
        return _may_be_of_dependency(error) or None
    if type(error) in declared:
        return False
    code = code_of(error)
    if code is None or (error.remote and code is Code.INTERNAL):
        return None
    return code in _FAILURE_CODES


def _may_be_of_dependency(error: Exception) -> bool:
    """Return whether an exception may say that something fails that the handler depends on.

    The most specific class of Python itself among its bases decides: applications and packages
    derive errors about a value from ValueError, and others from Exception. OSError without a file
    name is raised for connections, time limits and full disks, unless its number is about a value.
    All other classes of Python are about a value, or a mistake in the code that only some values
    reach. So are errors of database drivers about data, such as a key that exists, and the
    RuntimeError that Python makes of a StopIteration: `next` found nothing.
    """
    nothing = (StopIteration, StopAsyncIteration)
    found_nothing = type(error) is RuntimeError and isinstance(error.__cause__, nothing)
    if found_nothing or isinstance(error, ContractBreachError) or _is_about_data(type(error)):
        return False
    for kind in type(error).__mro__:
        module = str(kind.__module__).partition(".")[0]
        if module in _MODULES_OF_DEPENDENCIES:
            return True
        if module == "builtins":
            if issubclass(kind, OSError):
                own: Any = OSError  # a subclass may have other members of these names
                is_about_value = own.errno.__get__(error) in _ABOUT_VALUES
                return own.filename.__get__(error) is None and not is_about_value
            return kind in {Exception, RuntimeError}
        if module in sys.stdlib_module_names:
            return False
    return True


def _is_about_data(kind: type[Exception]) -> bool:
    """Return whether a database driver raises this class of errors about values."""
    for each in kind.__mro__:
        sqlstate = vars(each).get("sqlstate")
        if isinstance(sqlstate, str) and sqlstate.startswith(_SQLSTATES_ABOUT_DATA):
            return True
    return any(each.__name__ in _ABOUT_DATA for each in kind.__mro__)
