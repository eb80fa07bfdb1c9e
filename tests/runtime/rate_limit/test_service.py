"""with_rate_limit(): validation, position in the chain, and state per instance."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import pytest

from testkit.probe import RUN, Probe, ProbeClient, Run
from testkit.tokens import FakeValidator, token
from weenats import (
    CallNext,
    Endpoint,
    NatsServiceBuilder,
    NoAuthConfig,
    RequestContext,
    Response,
)
from weenats.contract import RateLimit
from weenats.errors import (
    InternalError,
    ResourceExhaustedError,
    ServiceError,
    UnauthenticatedError,
)
from weenats.testing import MemoryTransport

GO = Run(action="go")


def builder(transport: MemoryTransport | None = None) -> NatsServiceBuilder:
    """Return a builder of the probe service."""
    return NatsServiceBuilder(Probe(), transport=transport or MemoryTransport())


def tenant(context: RequestContext) -> str | None:
    """Return the tenant header as the key."""
    return context.headers.get("x-tenant")


@pytest.mark.parametrize(
    "rate", [0, -1, 1e-320, 0.0009, 1_000_001, 1e308, math.inf, math.nan, True, "5", None]
)
def test_invalid_rate_is_rejected(rate: Any) -> None:
    """max_requests_per_second must be from 0.001 to 1,000,000."""
    with pytest.raises(ValueError, match=r"max_requests_per_second is from 0\.001 to 1000000"):
        builder().with_rate_limit(rate)


@pytest.mark.parametrize(
    ("rate", "burst"),
    [
        (5, 4.9),
        (0.1, 0.5),
        (5, 0),
        (5, False),
        (5, -5),
        (5, 1e9),
        (5, math.inf),
        (5, math.nan),
        (5, True),
        (5, "9"),
    ],
)
def test_invalid_burst_is_rejected(rate: float, burst: Any) -> None:
    """The burst must be at least the requests of one second, and at least one."""
    lowest = f"burst is from {max(rate, 1)} to 10000000, not "
    with pytest.raises(ValueError, match=lowest):
        builder().with_rate_limit(rate, burst)


@pytest.mark.parametrize("bound", [0, -1, 1_000_001, 1.5, True])
def test_invalid_max_clients_is_rejected(bound: Any) -> None:
    """max_clients must be from 1 to 1,000,000."""
    with pytest.raises(ValueError, match="max_clients is from 1 to 1000000"):
        builder().with_rate_limit(5, key_extractor=tenant, max_clients=bound)


@pytest.mark.parametrize("bound", [1, 1_000_000])
def test_minimum_and_maximum_max_clients_are_accepted(bound: int) -> None:
    """The limits themselves are allowed."""
    builder().with_rate_limit(5, key_extractor=tenant, max_clients=bound)


def test_invalid_rate_limit_options_are_rejected() -> None:
    """Invalid on_missing_principal, invalid key_extractor and a second call are rejected."""
    unknown: Any = "ignore"
    with pytest.raises(
        ValueError, match="on_missing_principal must be 'shared' or 'reject', not 'ignore'"
    ):
        builder().with_rate_limit(5, per_client=True, on_missing_principal=unknown)
    with pytest.raises(
        ValueError,
        match=r"^on_missing_principal='reject' requires per_client=True or a key_extractor$",
    ):
        builder().with_rate_limit(5, on_missing_principal="reject")

    with pytest.raises(TypeError, match=r"^per_client is True or False, not 'no'$"):
        builder().with_rate_limit(5, per_client="no")  # type: ignore[arg-type]

    async def slow(_: RequestContext) -> str:
        return "k"

    functions: list[Any] = ["x-tenant", slow]
    for function in functions:
        with pytest.raises(TypeError, match=r"^key_extractor must be a plain function, not "):
            builder().with_rate_limit(5, key_extractor=function)
    with pytest.raises(ValueError, match=r"^with_rate_limit\(\) was already called$"):
        builder().with_rate_limit(5).with_rate_limit(5)


def test_per_client_limit_requires_authentication_before_it() -> None:
    """per_client needs with_auth() before it, or a key_extractor."""
    off = builder().with_auth(NoAuthConfig()).with_rate_limit(5, per_client=True)
    with pytest.raises(ValueError, match=r"requires authentication before it: .* turns it off"):
        off.build()
    per_client = builder().with_rate_limit(5, per_client=True)
    with pytest.raises(
        ValueError,
        match=r"^with_rate_limit\(per_client=True\) requires .*: add with_auth\(...\) to .*, or",
    ):
        per_client.build()
    with pytest.raises(
        ValueError,
        match=r"^with_rate_limit\(per_client=True\) requires .*: add with_auth\(...\) to .*, or",
    ):
        per_client.with_auth(validator=FakeValidator()).build()
    builder().with_auth(validator=FakeValidator()).with_rate_limit(5, per_client=True).build()
    builder().with_rate_limit(5, key_extractor=tenant).build()
    builder().with_rate_limit(5, per_client=True, key_extractor=tenant).build()


async def outcomes(client: ProbeClient, times: int) -> list[str]:
    """Return the codes of this many calls."""
    told: list[str] = []
    for _ in range(times):
        try:
            await client.run("k", GO)
        except ServiceError as error:
            told.append(error.code.value)
        else:
            told.append("OK")
    return told


async def test_order_of_rate_limit_and_authentication_matters() -> None:
    """Before authentication the limit counts all requests, after it only authenticated ones."""
    for first in ("limit", "auth"):
        transport = MemoryTransport()
        built = builder(transport)
        if first == "limit":
            built = built.with_rate_limit(0.001, burst=1).with_auth(validator=FakeValidator())
        else:
            built = built.with_auth(validator=FakeValidator()).with_rate_limit(0.001, burst=1)
        async with built.build():
            nobody = ProbeClient(transport)
            told = await outcomes(nobody, 2)
            known = await outcomes(nobody.with_token(token()), 2)
        if first == "limit":
            assert (told, known) == (
                ["UNAUTHENTICATED", "RESOURCE_EXHAUSTED"],
                ["RESOURCE_EXHAUSTED"] * 2,
            )
        else:
            assert (told, known) == (["UNAUTHENTICATED"] * 2, ["OK", "RESOURCE_EXHAUSTED"])


async def test_a_limit_of_the_contract_alone_is_innermost() -> None:
    """Interceptors of the user run before it, whenever they were added."""
    seen: list[str] = []

    async def audit(context: RequestContext, call_next: CallNext) -> Response:
        seen.append(context.operation.name)
        return await call_next(context)

    class Limited(Probe):
        """A probe whose contract limits its command."""

        def endpoints(self) -> tuple[Endpoint, ...]:
            limit = RateLimit(max_requests_per_second=0.001, burst=1)
            return (Endpoint.command(replace(RUN, rate_limit=limit), self.run),)

    transport = MemoryTransport()
    built = NatsServiceBuilder(Limited(), transport=transport).with_interceptor(audit)
    async with built.build():
        assert await outcomes(ProbeClient(transport), 2) == ["OK", "RESOURCE_EXHAUSTED"]
    assert seen == ["run", "run"]


async def test_services_of_one_builder_do_not_share_buckets() -> None:
    """Buckets belong to one running instance."""
    transport = MemoryTransport()
    built = builder(transport).with_rate_limit(0.001, burst=2)
    for service in (built.build(), built.build()):
        async with service:
            assert await outcomes(ProbeClient(transport), 3) == ["OK", "OK", "RESOURCE_EXHAUSTED"]


async def test_all_operations_share_the_service_limit() -> None:
    """Commands and queries use the same bucket."""
    transport = MemoryTransport()
    async with builder(transport).with_rate_limit(0.001, burst=3).build():
        client = ProbeClient(transport)
        await client.get("k")
        await client.run("k", GO)
        await client.get("k")
        with pytest.raises(ResourceExhaustedError) as refused:
            await client.run("k", GO)
        assert refused.value.retry_after == pytest.approx(1000, rel=0.01)
        assert refused.value.remote


async def test_rejected_requests_do_not_reach_the_handler() -> None:
    """Rejected requests reach neither handler nor later interceptors, and are counted."""
    transport, seen = MemoryTransport(), []

    async def audit(context: RequestContext, call_next: CallNext) -> Response:
        seen.append(context.operation.name)
        return await call_next(context)

    handlers = Probe()
    built = NatsServiceBuilder(handlers, transport=transport).with_rate_limit(0.001, burst=1)
    async with built.with_interceptor(audit).build():
        client = ProbeClient(transport)
        assert await outcomes(client, 4) == ["OK"] + ["RESOURCE_EXHAUSTED"] * 3
        stats = {each.name: each for each in (await client.get_service_stats()).endpoints}
    assert (len(handlers.seen), seen) == (1, ["run"])
    assert stats["run"].data == {"rateLimit": {"refused": 3}}
    assert stats["get"].data == {"rateLimit": {"refused": 0}}
    assert (stats["run"].num_requests, stats["run"].num_errors) == (4, 3)


async def test_failing_key_extractor_fails_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """The caller gets INTERNAL without details, and the log has the exception."""
    transport, handlers = MemoryTransport(), Probe()

    def broken(_: RequestContext) -> str:
        raise ValueError("s3cret")

    built = NatsServiceBuilder(handlers, transport=transport)
    async with built.with_rate_limit(5, key_extractor=broken).build():
        with pytest.raises(InternalError) as raised:
            await ProbeClient(transport).run("k", GO)
    assert "s3cret" not in str(raised.value)
    assert "s3cret" in caplog.text
    assert not handlers.seen


async def test_rejections_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Rejected requests are counted, not logged one by one."""
    transport = MemoryTransport()
    with caplog.at_level(logging.INFO):
        async with builder(transport).with_rate_limit(0.001, burst=1).build():
            await outcomes(ProbeClient(transport), 200)
    assert len(caplog.records) <= 2


async def test_reject_answers_unauthenticated() -> None:
    """With "reject" a request without a key gets UNAUTHENTICATED."""
    transport = MemoryTransport()
    built = builder(transport).with_rate_limit(
        5, key_extractor=tenant, on_missing_principal="reject"
    )
    async with built.build():
        client = ProbeClient(transport)
        with pytest.raises(UnauthenticatedError):
            await client.run("k", GO)
        await client.with_header("X-Tenant", "north").run("k", GO)
