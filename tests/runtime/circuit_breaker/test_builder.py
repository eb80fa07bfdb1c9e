"""with_circuit_breaker(): validation of its options, and no sharing between services."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, Run
from weenats import (
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    RequestContext,
    UnavailableError,
)
from weenats.circuit_breaker import CircuitBreakerPolicy
from weenats.testing import MemoryTransport


class AsyncHook:
    """An object with an async `__call__`."""

    async def __call__(self, argument: Any) -> bool:
        """Return True."""
        return True


async def async_hook(argument: Any) -> bool:
    """Return True."""
    return True


async def fail(key: str, command: Run, context: RequestContext) -> Any:
    """Fail."""
    raise OSError(key)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(
            ({name: value}, ValueError)
            for name in ("failure_threshold", "half_open_max_calls")
            for value in (0, -1, 1.0, True, "5", None, 10**30)
        ),
        *(
            ({name: value}, InvalidArgumentError)
            for name in ("recovery_timeout", "monitoring_window")
            for value in (0, -1, float("nan"), float("inf"), True, "5", None, timedelta(0))
        ),
        *(({"scope": value}, ValueError) for value in ("", "Operation", "instance", None)),
        *(
            ({name: value}, TypeError)
            for name in ("is_failure", "listener")
            for value in (True, "f", async_hook, AsyncHook())
        ),
    ],
)
def test_invalid_options_are_rejected(options: dict[str, Any], error: type[Exception]) -> None:
    """An invalid option, also of a policy, fails immediately, and the error names it."""
    with pytest.raises(error, match=next(iter(options))):
        NatsServiceBuilder(Probe()).with_circuit_breaker(**options)
    with pytest.raises(error, match=next(iter(options))):
        CircuitBreakerPolicy(**options)


def test_durations_accept_seconds_and_timedeltas() -> None:
    """Seconds and timedelta give the same settings."""
    given: Any = timedelta(minutes=1.5)
    policy = CircuitBreakerPolicy(recovery_timeout=given)
    assert policy == CircuitBreakerPolicy(recovery_timeout=90.0)
    builder = NatsServiceBuilder(Probe())
    plain = builder.with_circuit_breaker(recovery_timeout=90, monitoring_window=0.5)
    spelt = builder.with_circuit_breaker(
        recovery_timeout=timedelta(minutes=1.5), monitoring_window=timedelta(milliseconds=500)
    )
    assert plain._settings == spelt._settings


def test_with_circuit_breaker_can_be_called_once() -> None:
    """A second call on the same builder is rejected; other builders are not affected."""
    builder = NatsServiceBuilder(Probe())
    guarded = builder.with_circuit_breaker()
    with pytest.raises(ValueError, match="already"):
        guarded.with_circuit_breaker()
    builder.with_circuit_breaker()


def test_self_eject_requires_a_circuit_breaker() -> None:
    """build() with self_eject but without a circuit breaker names what to add."""
    builder = NatsServiceBuilder(Probe()).with_queue_group("probe", self_eject=True)
    with pytest.raises(ValueError, match="with_circuit_breaker"):
        builder.build()
    builder.with_circuit_breaker().build()


async def test_services_of_one_builder_do_not_share_breakers() -> None:
    """A breaker that opened in one instance is closed in the next."""
    transport = MemoryTransport()
    builder = NatsServiceBuilder(Probe(fail=fail), transport=transport)
    builder = builder.with_circuit_breaker(failure_threshold=1)
    for _ in range(2):
        async with builder.build():
            client = ProbeClient(transport)
            with pytest.raises(InternalError):
                await client.run("k", Run(action="fail"))
            with pytest.raises(UnavailableError):
                await client.run("k", Run(action="a"))
