"""Replies that cannot be sent."""

from __future__ import annotations

import asyncio

import pytest
from typing_extensions import override

from testkit.probe import Outcome, Probe, ProbeClient, Run
from testkit.waiting import settle, until
from weenats import (
    NatsServiceBuilder,
    NotFoundError,
    RequestContext,
    ResourceExhaustedError,
)
from weenats.testing import MemoryTransport


class FullTransport(MemoryTransport):
    """A transport that rejects replies while it is full."""

    is_full = True

    @override
    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        if self.is_full and not reply:
            raise ResourceExhaustedError("too much waits to be sent")
        super().publish(subject, payload, headers, reply)


async def raise_error(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise an error that can be sent."""
    raise NotFoundError("no such thing")


async def raise_unserializable_error(key: str, command: Run, context: RequestContext) -> Outcome:
    """Raise an error whose details are not JSON."""
    raise NotFoundError("no such thing", details={"no JSON": object()})


async def succeed(key: str, command: Run, context: RequestContext) -> Outcome:
    """Return a result."""
    return Outcome(text="done")


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (
            succeed,
            "the reply of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
        (
            raise_error,
            "the error of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
        (
            raise_unserializable_error,
            "the error of probe.command.thing.run could not be sent: RESOURCE_EXHAUSTED: too much",
        ),
    ],
)
async def test_unsent_reply_is_logged_and_counted_as_error(
    action: object, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged and counted as an error, and the next request is answered."""
    transport, handlers = FullTransport(), Probe()
    handlers.actions["act"] = action  # type: ignore[assignment]
    async with (
        NatsServiceBuilder(handlers, transport=transport).build(),
        ProbeClient(MemoryTransport(transport.broker)) as client,
    ):
        call = asyncio.create_task(client.run("k", Run(action="act")))
        await until(lambda: any(told in each for each in caplog.messages))
        await settle()
        assert not call.done()
        call.cancel()
        transport.is_full = False
        assert (await client.run("k", Run(action="next"))).text
        (endpoint, *_) = (await client.get_service_stats()).endpoints
    assert (endpoint.num_requests, endpoint.num_errors) == (2, 1)
    assert [told in each for each in caplog.messages].count(True) == 1, caplog.messages
