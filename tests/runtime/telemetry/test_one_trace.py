"""One trace across several processes: caller, services and event consumer."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from testkit import serve_traced
from testkit.forks import fork
from testkit.probe import Run
from testkit.telemetry import NOTHING, Recording, calling

ROLES: Final = ("front", "inner", "listener")
EVENT: Final = "probe.events.thing.happened"


@dataclass
class TraceRecord:
    """The spans of all processes, once they have ended."""

    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def edges(self, observed: Recording) -> set[tuple[str, str, str]]:
        """Return each span as (process and kind, name, name of its parent)."""
        spans = {"caller": [json.loads(span.to_json()) for span in observed.spans], **self.told}
        named = {
            each["context"]["span_id"]: each["name"] for told in spans.values() for each in told
        }
        assert len({each["context"]["trace_id"] for told in spans.values() for each in told}) == 1
        return {
            (
                f"{role} {each['kind'].removeprefix('SpanKind.')}",
                each["name"],
                ""
                if each["parent_id"] is None
                else named[each["parent_id"]] + _parent_kind(each, spans),
            )
            for role, told in spans.items()
            for each in told
        }


def _parent_kind(span: dict[str, Any], spans: dict[str, list[dict[str, Any]]]) -> str:
    """Return the kind of a span's parent, as both sides of a call share a name."""
    for told in spans.values():
        for each in told:
            if each["context"]["span_id"] == span["parent_id"]:
                return " " + each["kind"].removeprefix("SpanKind.")
    return ""


@asynccontextmanager
async def processes(url: str, mode: str) -> AsyncIterator[TraceRecord]:
    """Run the three processes, and read their spans after they have stopped."""
    story = TraceRecord()
    with ExitStack() as stack:
        running = [stack.enter_context(fork(serve_traced.main, role, url, mode)) for role in ROLES]
        for child in running:
            assert await child.receive() == "serving"
        yield story
        for role, child in zip(ROLES, running, strict=True):
            child.signal(signal.SIGTERM)
            story.told[role] = await child.receive()
            assert await child.wait() == 0


async def test_calls_and_events_form_one_trace(nats_url: str, observed: Recording) -> None:
    """Client, services, event and consumer share a trace; spans of handlers nest in it."""
    async with processes(nats_url, "all") as story, calling(nats_url) as client:
        await client.run("k", Run(action="go"))
    assert story.edges(observed) == {
        ("caller CLIENT", "probe/run", ""),
        ("front SERVER", "probe/run", "probe/run CLIENT"),
        ("front INTERNAL", "front work", "probe/run SERVER"),
        ("front CLIENT", "inner/run", "front work INTERNAL"),
        ("inner SERVER", "inner/run", "inner/run CLIENT"),
        ("inner INTERNAL", "inner work", "inner/run SERVER"),
        ("front PRODUCER", f"publish {EVENT}", "front work INTERNAL"),
        ("listener CONSUMER", f"process {EVENT}", f"publish {EVENT} PRODUCER"),
        ("listener INTERNAL", "listener work", f"process {EVENT} CONSUMER"),
    }


async def test_nested_client_without_telemetry_keeps_the_trace(
    nats_url: str, observed: Recording
) -> None:
    """The client has no span, and its calls are children of the handler's span."""
    async with processes(nats_url, "bare-client") as story, calling(nats_url) as client:
        await client.run("k", Run(action="go"))
    edges = story.edges(observed)
    assert ("inner SERVER", "inner/run", "front work INTERNAL") in edges
    assert len(edges) == 8


async def test_service_without_telemetry_propagates_the_trace(
    nats_url: str, observed: Recording
) -> None:
    """Calls and events of the service are children of the caller's span."""
    async with processes(nats_url, "bare-service") as story, calling(nats_url) as client:
        await client.run("k", Run(action="go"))
    assert story.edges(observed) == {
        ("caller CLIENT", "probe/run", ""),
        ("front CLIENT", "inner/run", "probe/run CLIENT"),
        ("inner SERVER", "inner/run", "inner/run CLIENT"),
        ("inner INTERNAL", "inner work", "inner/run SERVER"),
        ("listener CONSUMER", f"process {EVENT}", "probe/run CLIENT"),
        ("listener INTERNAL", "listener work", f"process {EVENT} CONSUMER"),
    }


@pytest.mark.parametrize("mode", ["all", "bare-client", "bare-service"])
async def test_unsampled_trace_has_no_spans(nats_url: str, observed: Recording, mode: str) -> None:
    """No process records spans, but the trace ids are propagated to the last one."""
    async with (
        processes(nats_url, mode) as story,
        calling(nats_url, sampling=NOTHING) as client,
    ):
        traceparents = [(await client.run("k", Run(action="go"))).text for _ in range(3)]
    assert story.told == {"front": [], "inner": [], "listener": []}
    assert not observed.spans
    versions, traces, spans, flags = zip(*(text.split("-") for text in traceparents), strict=True)
    assert (set(versions), set(flags)) == ({"00"}, {"00"})
    assert len(set(traces)) == 3
    assert "0" * 32 not in traces
    assert "0" * 16 not in spans
