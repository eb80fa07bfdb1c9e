"""explain(): the settings of each operation and their sources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from testkit.parts import Parts
from testkit.probe import FIND, GET, RUN, Probe
from weenats import CallNext, Endpoint, NatsServiceBuilder, RequestContext, Response
from weenats.contract import AuthRequirement, RateLimit
from weenats.service.explain import OperationPolicy
from weenats.testing import MemoryTransport


class StubValidator:
    """A token validator that is never called."""

    async def validate(self, token: str) -> Any:
        """Raise NotImplementedError."""
        raise NotImplementedError


async def audit(context: RequestContext, call_next: CallNext) -> Response:
    """A user's interceptor."""
    return await call_next(context)


class StrictProbe(Probe):
    """The probe with more settings in its contract."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return two of its operations."""
        run = replace(
            RUN,
            auth=AuthRequirement(scopes=("probe:run",)),
            rate_limit=RateLimit(max_requests_per_second=5),
            timeout=0.5,
            idempotent=True,
        )
        find = replace(FIND, idempotent=False, auth=AuthRequirement(required=False))
        return Endpoint.command(run, self.run), Endpoint.query(find, self.find)


def settings_of(builder: NatsServiceBuilder) -> dict[str, dict[str, tuple[Any, str]]]:
    """Return value and source of each setting by operation."""
    return {
        policy.operation: {each.name: (each.value, each.source) for each in policy.settings}
        for policy in builder.explain()
    }


def test_bare_builder_explains_defaults() -> None:
    """Every setting of a bare builder has its default value and the source "default"."""
    policies = NatsServiceBuilder(Probe(), transport=MemoryTransport()).explain()
    assert [type(each) for each in policies] == [OperationPolicy] * 4
    assert [each.subject for each in policies if each.operation == GET.label] == [GET.subject]
    for policy in policies:
        assert {each.source for each in policy.settings} == {"default"}
        told = {each.name: each.value for each in policy.settings}
        assert told["max queue"] == 100
        assert told["timeout"] == 5.0
        assert told["retries"] == (
            "never" if policy.kind == "command" else "allowed to clients, as it is idempotent"
        )
        assert told["authentication"] is told["rate limit"] is told["circuit breaker"] is None


def test_explain_names_contract_and_builder_as_sources() -> None:
    """Limits of both apply; the contract decides about authentication."""
    builder = (
        NatsServiceBuilder(StrictProbe(), transport=MemoryTransport())
        .with_queue_group("workers", 7, max_queue=3, max_queue_time=2)
        .with_auth(validator=StubValidator())
        .with_rate_limit(100, per_client=True)
        .with_interceptor(audit)
        .with_circuit_breaker(failure_threshold=9, scope="service")
        .with_drain_timeout(4)
        .with_telemetry(attributes="full", sampling={"queries": 1})
        .with_health(custom_checks=[{"name": "store", "check": lambda: True}])
        .with_monitoring(interval=10)
    )
    run, find = settings_of(builder)["run"], settings_of(builder)["find"]
    assert run["queue group"] == ("workers", "with_queue_group")
    assert run["max concurrency"] == (7, "with_queue_group")
    assert run["max queue"] == (3, "with_queue_group")
    assert run["max queue time"] == (2.0, "with_queue_group")
    assert run["self eject"] == (False, "default")
    assert run["drain timeout"] == (4.0, "with_drain_timeout")
    assert run["timeout"] == (0.5, "contract")
    assert find["timeout"] == (5.0, "default")
    assert run["interceptors"] == (["authentication", "rate limit", "audit"], "builder")
    assert run["authentication"] == ("StubValidator, required", "contract")
    assert run["scopes"] == (["probe:run"], "contract")
    assert find["authentication"] == ("StubValidator, optional", "contract")
    assert "scopes" not in find
    assert run["rate limit"] == (
        "100 a second, 200 at once, of each caller", "with_rate_limit"
    )  # fmt: skip
    assert run["additional rate limit"] == ("5 a second, 10 at once, of each caller", "contract")
    assert "additional rate limit" not in find
    assert run["circuit breaker"] == (
        "9 failures in 60 s open it for 30 s, trial calls: 1, one breaker for each service",
        "with_circuit_breaker",
    )
    assert run["retries"] == ("allowed to clients, as it is idempotent", "contract")
    assert find["retries"] == ("never", "contract")
    assert run["telemetry"] == (
        "full attributes, sampling commands 1, queries 1, events 0.1", "with_telemetry"
    )  # fmt: skip
    assert run["health checks"] == (["store"], "with_health")
    assert run["monitoring"] == ("every 10 s", "with_monitoring")


def test_contract_limit_alone_is_shared_by_all_callers() -> None:
    """Without with_rate_limit() all callers share the limit of the contract."""
    builder = NatsServiceBuilder(StrictProbe(), transport=MemoryTransport())
    assert settings_of(builder)["run"]["rate limit"] == (
        "5 a second, 10 at once, of all callers", "contract"
    )  # fmt: skip


@pytest.mark.parametrize("value", [1, 10])
def test_default_value_has_the_source_default(value: int) -> None:
    """A value equal to the default has the source "default", even if given explicitly."""
    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    told = settings_of(builder.with_queue_group("probe", value))["run"]["max concurrency"]
    assert told == (value, "default" if value == 10 else "with_queue_group")


def test_an_interceptor_with_the_name_of_a_feature_hides_nothing() -> None:
    """The settings of the feature itself are shown."""

    async def telemetry(context: RequestContext, call_next: CallNext) -> Response:
        return await call_next(context)

    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport()).with_interceptor(telemetry)
    run = settings_of(builder.with_telemetry(attributes="full"))["run"]
    assert run["interceptors"] == (["telemetry"], "builder")
    assert run["telemetry"][1] == "with_telemetry"


def test_parts_that_json_schema_checks_are_named() -> None:
    """Payload, result, data of events and details are named, with the keywords if known."""
    builder = NatsServiceBuilder(Parts(), transport=MemoryTransport())
    found = {name: each["checked by JSON Schema"] for name, each in settings_of(builder).items()}
    booking = "(Booking#/dependentRequired, ...)"
    parts = [f"payload {booking}", f"result {booking}", f"data of booked {booking}"]
    parts.append("details of RefusedError (Tags#/uniqueItems)")
    assert found["book"] == (parts, "contract")
    assert found["part.get"] == (["result"], "contract")
    assert found["rate"] == ([], "default")
