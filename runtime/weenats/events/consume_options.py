"""Options of durable consumers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self, TypedDict

from weenats import interceptors as chains
from weenats._internal.validation import check_integer
from weenats.admission.controller import check_concurrency
from weenats.circuit_breaker.policy import CircuitBreakerPolicy
from weenats.events.received_event import ReceivedEvent
from weenats.interceptors import Interceptor
from weenats.protocol.timeouts import Duration, seconds

__all__ = ["ConsumeOptions", "ConsumeSettings"]
_BACKOFF: Final = (1.0, 5.0, 15.0, 30.0)


class ConsumeOptions(TypedDict, total=False):
    """Options of a durable consumer.

    Attributes:
        start: where a new consumer begins: "beginning" (the default), "new", the sequence of an
            event, or a time. One that exists already goes on where it is.
        max_concurrency: how many events this instance processes at a time, 16 by default.
        handler_timeout: how long the handler of an event may take, 30 seconds by default.
        ack_wait: after how long without a heartbeat (in-progress ack) of its instance an event is
            delivered to another one, 30 seconds by default.
        max_deliver: the delivery whose failure makes an event a dead letter, 5 by default; an event
            that ends processes is delivered twice as often.
        backoff: the pauses before an event is delivered again, after each failure in turn; by
            default 1, 5, 15 and 30 seconds. The last one holds for all further ones.
        interceptors: run around each handler, the first one is the outermost; none by default.
        rate_limit: how many events this instance begins a second at most; further ones wait. By
            default there is no limit.
        circuit_breaker: when this instance stops receiving events because its handlers fail, one
            breaker for all of them; none by default.
    """

    start: str | int | datetime
    max_concurrency: int
    handler_timeout: Duration
    ack_wait: Duration
    max_deliver: int
    backoff: Sequence[Duration]
    interceptors: Sequence[Interceptor[ReceivedEvent[Any, Any]]]
    rate_limit: float
    circuit_breaker: CircuitBreakerPolicy


@dataclass(frozen=True, slots=True)
class ConsumeSettings:
    """Checked options of a durable consumer, durations in seconds; see ConsumeOptions."""

    start: Any
    max_concurrency: int
    handler_timeout: float
    ack_wait: float
    max_deliver: int
    backoff: tuple[float, ...]
    interceptors: tuple[Interceptor[ReceivedEvent[Any, Any]], ...]
    rate_limit: float | None
    circuit_breaker: CircuitBreakerPolicy | None

    @classmethod
    def of(cls, options: ConsumeOptions) -> Self:
        """Return the settings for some options.

        Args:
            options: the options.

        Raises:
            ValueError: an option is out of range.
            TypeError: an interceptor is not an async callable with two parameters, or
                circuit_breaker is not a CircuitBreakerPolicy.
        """
        start = options.get("start", "beginning")
        is_known = isinstance(start, datetime) or start in {"beginning", "new"}
        if not is_known and (type(start) is not int or start < 1):
            raise ValueError(
                f'start is "beginning", "new", a sequence from 1 or a datetime, not {start!r}'
            )
        max_concurrency = options.get("max_concurrency", 16)
        check_concurrency(max_concurrency)
        max_deliver = options.get("max_deliver", 5)
        check_integer("max_deliver", max_deliver, 1)
        backoff = options.get("backoff", _BACKOFF)
        if not backoff:
            raise ValueError("backoff has at least one pause")
        interceptors = tuple(options.get("interceptors", ()))
        for each in interceptors:
            chains.check(each)
        return cls(
            start,
            max_concurrency,
            seconds(options.get("handler_timeout", 30.0), "handler_timeout"),
            seconds(options.get("ack_wait", 30.0), "ack_wait"),
            max_deliver,
            tuple(seconds(each, "backoff") for each in backoff),
            interceptors,
            _rate(options),
            _policy(options),
        )

    def pause(self, attempt: int) -> float:
        """Return the seconds until the next delivery.

        Args:
            attempt: which delivery has failed, from 1.
        """
        return self.backoff[min(attempt, len(self.backoff)) - 1]


def _rate(options: ConsumeOptions) -> float | None:
    rate: Any = options.get("rate_limit", 1.0)
    if type(rate) not in (int, float) or not 0 < rate < math.inf:
        raise ValueError(f"rate_limit is a number of events a second above 0, not {rate!r}")
    return options.get("rate_limit")


def _policy(options: ConsumeOptions) -> CircuitBreakerPolicy | None:
    policy: Any = options.get("circuit_breaker")
    if policy is None or isinstance(policy, CircuitBreakerPolicy):
        return policy
    raise TypeError(f"circuit_breaker is a CircuitBreakerPolicy, not {policy!r}")
