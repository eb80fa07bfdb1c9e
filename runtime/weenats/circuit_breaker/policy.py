"""What a service wants of its circuit breakers, as its builder is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, get_args

from weenats._internal.validation import is_async

if TYPE_CHECKING:
    from weenats.circuit_breaker.state import CircuitState
    from weenats.protocol.deadline import Clock

Scope = Literal["operation", "service"]
"""A breaker for each operation, or one for all of them."""

EVERY_OPERATION: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitStateChange:
    """A circuit breaker that opened, half-opened or closed.

    Attributes:
        service: the service, as its contract names it.
        operation: the operation, "*" when one breaker stands for all.
        old: the state until now.
        new: the state from now on.
        failures: how many the monitoring window holds.
        next_trial: seconds until calls are tried again, None when it did not open.
    """

    service: str
    operation: str
    old: CircuitState
    new: CircuitState
    failures: int
    next_trial: float | None


IsFailure = Callable[[Exception], bool]
"""Says whether an exception of a handler is a failure."""
Listener = Callable[[CircuitStateChange], None]
"""Is told of each change; it must neither block nor raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerPolicy:
    """When circuit breakers open, and how they close again.

    Attributes:
        failure_threshold: so many failures within the window open it.
        recovery_timeout: seconds until calls are tried; also how long a trial may hang before
            others are tried.
        monitoring_window: seconds for which a failure counts.
        half_open_max_calls: so many calls are tried, and close it when all of them succeed.
        scope: a breaker for each operation, or one for all of the service.
        is_failure: says in place of the default whether an exception is a failure.
        listener: is told of each change.
        clock: the time, monotonic.

    Raises:
        ValueError: a number is not positive and whole, or the scope is none.
        TypeError: `is_failure` or `listener` is no plain function.
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
            number: object = getattr(self, name)
            if type(number) is not int or number < 1:
                raise ValueError(f"{name} is a whole number from 1, not {number!r}")
        if self.scope not in get_args(Scope):
            raise ValueError(f'scope is "operation" or "service", not {self.scope!r}')
        for name in ("is_failure", "listener"):
            function: object = getattr(self, name)
            if function is not None and (not callable(function) or is_async(function)):
                raise TypeError(f"{name} is a plain function, not {function!r}")
