"""The circuit breaker of a durable consumer: it pauses the consumer while its handlers fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from weenats.circuit_breaker.breaker import CircuitBreaker
from weenats.circuit_breaker.breakers import report_change
from weenats.circuit_breaker.policy import counts_as_failure
from weenats.errors import UnavailableError
from weenats.events.received_event import EventReturnedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from weenats.circuit_breaker.policy import CircuitBreakerPolicy, CircuitStateChange
    from weenats.context import Response
    from weenats.events.received_event import ReceivedEvent
    from weenats.interceptors import CallNext

__all__ = ["EventGuard"]


class EventGuard:
    """The innermost interceptor of a consumer: counts what its handlers do.

    While the breaker is open, events go back to the server, for other instances.

    Args:
        policy: when the breaker opens and closes; its scope is always the consumer.
        service: the name of the service that publishes the events.
        name: the name of the consumer.
        on_change: called after each change of the breaker's state.
    """

    def __init__(
        self,
        policy: CircuitBreakerPolicy,
        service: str,
        name: str,
        on_change: Callable[[], None],
    ) -> None:
        self._policy = policy
        self._name = name
        self._on_change = on_change
        self._breaker = CircuitBreaker(policy, service, name, self._report)

    @property
    def is_closed(self) -> bool:
        """Whether all events reach their handlers."""
        return self._breaker.is_closed

    def seconds_to_trial(self) -> float:
        """Return the seconds until an event may be tried, 0 unless it is open."""
        return self._breaker.seconds_to_trial()

    async def __call__(
        self,
        context: ReceivedEvent[Any, Any],
        call_next: CallNext[ReceivedEvent[Any, Any]],
        /,
    ) -> Response:
        """Call the handler unless the breaker is open, and count its outcome.

        Raises:
            EventReturnedError: the breaker is open.
        """
        try:
            call = self._breaker.admit()
        except UnavailableError:
            raise EventReturnedError from None
        try:
            response = await call_next(context)
        except BaseException as error:
            self._breaker.ended(call, is_failure=self._classify(error, context))
            raise
        self._breaker.succeeded(call)
        return response

    def _classify(self, error: BaseException, context: ReceivedEvent[Any, Any]) -> bool | None:
        """Return whether an exception is a failure, None when it counts as neither."""
        if isinstance(error, asyncio.CancelledError):
            return True if context.remaining == 0 else None
        if not isinstance(error, Exception) or isinstance(error, EventReturnedError):
            return None
        return counts_as_failure(error, (), self._policy.is_failure, f"the consumer {self._name}")

    def _report(self, change: CircuitStateChange) -> None:
        report_change(change, self._policy, self._on_change)
