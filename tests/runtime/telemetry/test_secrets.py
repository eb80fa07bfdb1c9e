"""No secrets in spans, events, statuses, metrics or logs."""

from __future__ import annotations

import asyncio
import logging
from base64 import urlsafe_b64encode
from contextlib import suppress
from typing import Any, Final

import pytest

from testkit.probe import (
    FindParameters,
    Happened,
    MissingDetails,
    Outcome,
    PartMissingError,
    Probe,
    Run,
    UndeclaredError,
)
from testkit.telemetry import Recording, calling, probe_token, probe_validator, serving
from weenats import ReceivedEvent, RequestContext, ServiceError
from weenats.logging import JsonFormatter, MessageFilter
from weenats.telemetry import TelemetryManager, TelemetrySettings

MARK: Final = "hunter2"
LEVELS: Final = ("minimal", "standard", "full")


async def run_all_outcomes(nats_url: str, handlers: Probe, level: str) -> list[str]:
    """Run every kind of request with secrets in every place; return the tokens."""

    async def answer(key: str, command: Run, context: RequestContext) -> Outcome:
        await handlers.publish_happened(MARK, Happened(whatText=MARK), revision=1)
        return Outcome(text=MARK)

    async def missing(*_: Any) -> Outcome:
        raise PartMissingError(MARK, details=MissingDetails(part=MARK))

    async def undeclared(*_: Any) -> Outcome:
        raise UndeclaredError("of another contract", details={MARK: MARK})

    async def large(*_: Any) -> Outcome:
        return Outcome(text=MARK * 200_000)

    arrived: asyncio.Queue[str] = asyncio.Queue()

    async def take(event: ReceivedEvent[Happened]) -> None:
        await arrived.put(event.key)
        raise ServiceError("what a handler says of itself is its own to log")

    for action in (answer, missing, undeclared, large):
        handlers.actions[f"{MARK} {action.__name__}"] = action
    good = probe_token(MARK, password=MARK, scope=f"{MARK} probe:run")
    late = probe_token(MARK, exp=1_000_000_000)
    forged = good[:-8] + "AAAAAAAA"
    tokens = [good, late, forged, f"{MARK}.{MARK}.{MARK}"]
    settings = {"attributes": level}
    async with (
        serving(nats_url, handlers, auth=probe_validator(), principal="hashed", **settings),
        calling(nats_url, **settings) as client,
        await client.subscribe_happened(take),
    ):
        for name in ("answer", "missing", "undeclared", "large"):
            with suppress(ServiceError):
                await client.run(MARK, Run(action=f"{MARK} {name}"), token=good)
        for text in tokens:
            with suppress(ServiceError):
                await client.with_context(secret=MARK).find(
                    MARK, FindParameters(pattern=MARK), token=text, headers={"X-Secret": MARK}
                )
        with suppress(ServiceError):
            await client.run(MARK, Run(action=MARK))
        junk = b'{"aggregateId":{"type":"thing","key":"hunter2"},"command":{"hunter2":"hunter2"}}'
        for body in (junk, MARK.encode(), b'{"hunter2":'):
            client.transport.publish("probe.command.thing.run", body, reply=f"{MARK}.reply")
        assert await arrived.get() == MARK
    return tokens


@pytest.mark.parametrize("level", LEVELS)
async def test_telemetry_and_logs_contain_no_secrets(
    nats_url: str,
    observed: Recording,
    handlers: Probe,
    caplog: pytest.LogCaptureFixture,
    level: str,
) -> None:
    """No tokens, claims, keys, payloads, results, details, headers or contexts appear."""
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(MessageFilter(principal="hashed"))
    tokens = await run_all_outcomes(nats_url, handlers, level)
    told = observed.text()
    logged = "\n".join(JsonFormatter().format(record) for record in caplog.records)
    assert len(observed.spans) >= 20
    assert "probe/run" in told
    assert "refused a caller" in logged
    encoded = urlsafe_b64encode(f'"{MARK}'.encode()).decode().rstrip("=")
    parts = [part for token in tokens for part in token.split(".")]
    for secret in (MARK, encoded, *tokens, *parts):
        assert secret not in told, secret
        assert secret not in logged, secret
    assert "_INBOX" not in told


async def test_with_span_records_no_exception_message(observed: Recording) -> None:
    """with_span() records the class of an exception, but not its message."""
    manager = TelemetryManager(TelemetrySettings())
    with pytest.raises(ValueError, match=MARK), manager.with_span("work", {"part": 1}):
        raise ValueError(MARK)
    (span,) = observed.spans
    assert dict(span.attributes or {}) == {"part": 1, "error.type": "ValueError"}
    assert not span.status.is_ok
    assert not span.events
    assert MARK not in observed.text()
