"""What a client refuses to send with its calls, before there is a connection."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.probe import Happened, ProbeClient, Run
from weenats.client.call import CallDefaults
from weenats.errors import InvalidArgumentError
from weenats.events import ReceivedEvent
from weenats.testing import MemoryTransport


@pytest.mark.parametrize("token", ["", None, 5, b"s3cret", ["s3cret"], "s3cret\ud800"])
async def test_a_token_that_is_none_is_refused_and_not_shown(token: Any) -> None:
    """A client and a call refuse it alike, and the error does not repeat it."""
    client = ProbeClient(MemoryTransport())
    with pytest.raises(InvalidArgumentError, match="a token must not be empty") as refused:
        client.with_token(token)
    assert "s3cret" not in str(refused.value)
    assert refused.value.__context__ is None
    with pytest.raises(InvalidArgumentError, match="a token must not be empty"):
        await client.run("k", Run(action="go"), token=token)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0}, {"timeout": float("nan")}, {"timeout": True}, {"correlation_id": ""},
        {"correlation_id": 5}, {"causation_id": "a\n"}, {"headers": {"Wee-Timeout": "1"}},
        {"headers": {"X": "a\r\nY: 1"}}, {"context": {"x": float("nan")}},
        {"context": {"x": object()}},
    ],
)  # fmt: skip
async def test_bad_options_are_refused_before_anything_is_sent(options: dict[str, Any]) -> None:
    """Each option of a call is judged by the caller's side, at once."""
    transport = MemoryTransport()
    with pytest.raises(InvalidArgumentError):
        await ProbeClient(transport).run("k", Run(action="go"), **options)
    assert transport._open is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timout": 1}, r"a call has no option timout; did you mean timeout\?$"),
        ({"timeout": 1, "b": 1, "a": 2}, "a call has no option a; it has causation_id, context, "),
        ({"revision": 1}, "a call has no option revision; it has "),
    ],
)
async def test_options_that_nobody_knows_are_refused(options: dict[str, Any], message: str) -> None:
    """A typing error in an option is told before anything is sent, of commands and queries."""
    transport = MemoryTransport()
    client = ProbeClient(transport)
    for call in (client.run("k", Run(action="go"), **options), client.get("k", **options)):
        with pytest.raises(TypeError, match=message):
            await call
    assert transport._open is False


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"revison": 1}, r"an event has no option revison; did you mean revision\?$"),
        ({}, r"requires the revision of its aggregate: revision=\.\.\."),
        ({"revision": 1, "timeout": 1}, "an event has no option timeout; it has context, headers"),
    ],
)
async def test_events_are_published_with_their_options(
    options: dict[str, Any], message: str
) -> None:
    """An option that is missing or unknown is told before anything is sent."""
    transport = MemoryTransport()
    with pytest.raises(TypeError, match=message):
        await ProbeClient(transport).publish_happened("k", Happened(text="x"), **options)
    assert transport._open is False


async def test_events_are_subscribed_to_with_their_options() -> None:
    """An option that a subscription does not have is told before anybody listens."""
    transport = MemoryTransport()
    options: dict[str, Any] = {"queue": "q"}
    with pytest.raises(TypeError, match=r"has no option queue; did you mean queue_group\?$"):
        await ProbeClient(transport).subscribe_happened(nothing, **options)
    assert transport._open is False


async def nothing(event: ReceivedEvent[Happened]) -> None:
    """Take an event."""


async def test_overlays_leave_the_client_as_it_was() -> None:
    """Each with_* returns another client on the same connection."""
    client = ProbeClient(MemoryTransport())
    changed = client.with_timeout(1).with_token("t").with_header("X-A", "1").with_context(a=1)
    assert changed is not client
    assert changed.transport is client.transport
    assert client._defaults == CallDefaults()
    assert changed._defaults == CallDefaults(
        timeout=1, token="t", headers={"X-A": "1"}, context={"a": 1}
    )
