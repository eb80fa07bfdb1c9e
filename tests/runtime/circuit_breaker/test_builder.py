"""What the builder takes, and whom it lets share a breaker: nobody."""

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
from weenats.testing import MemoryTransport


class Hook:
    """An object that is called, but not at once."""

    async def __call__(self, argument: Any) -> bool:
        """Say yes, later."""
        return True


async def later(argument: Any) -> bool:
    """Say yes, later."""
    return True


async def fail(key: str, command: Run, context: RequestContext) -> Any:
    """Fail."""
    raise ValueError(key)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        *(
            ({name: value}, ValueError)
            for name in ("failure_threshold", "half_open_max_calls")
            for value in (0, -1, 1.0, True, "5", None)
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
            for value in (True, "f", later, Hook())
        ),
    ],
)
def test_bad_values_are_refused_at_once(options: dict[str, Any], error: type[Exception]) -> None:
    """By the builder call, naming what is wrong."""
    with pytest.raises(error, match=next(iter(options))):
        NatsServiceBuilder(Probe()).with_circuit_breaker(**options)


def test_durations_are_seconds_or_timedeltas() -> None:
    """Both mean the same."""
    builder = NatsServiceBuilder(Probe())
    plain = builder.with_circuit_breaker(recovery_timeout=90, monitoring_window=0.5)
    spelt = builder.with_circuit_breaker(
        recovery_timeout=timedelta(minutes=1.5), monitoring_window=timedelta(milliseconds=500)
    )
    assert plain._settings == spelt._settings


def test_it_is_called_once() -> None:
    """A second circuit breaker is refused; the builder that has none may have one still."""
    builder = NatsServiceBuilder(Probe())
    guarded = builder.with_circuit_breaker()
    with pytest.raises(ValueError, match="already"):
        guarded.with_circuit_breaker()
    builder.with_circuit_breaker()


def test_self_eject_needs_something_to_go_by() -> None:
    """`build` says what to add."""
    builder = NatsServiceBuilder(Probe()).with_queue_group("probe", self_eject=True)
    with pytest.raises(ValueError, match="with_circuit_breaker"):
        builder.build()
    builder.with_circuit_breaker().build()


async def test_services_of_one_builder_share_nothing() -> None:
    """What opened in one instance is closed in the next one."""
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
