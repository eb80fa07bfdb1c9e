"""Invalid call options are rejected by the client before it connects."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.probe import Happened, ProbeClient, ProbeSyncClient, Run
from weenats.client.call import CallDefaults
from weenats.errors import InvalidArgumentError
from weenats.events import ReceivedEvent
from weenats.principal import Principal
from weenats.testing import MemoryTransport


@pytest.mark.parametrize("token", ["", 5, b"s3cret", ["s3cret"], "s3cret\ud800"])
async def test_invalid_token_is_rejected_and_not_shown(token: Any) -> None:
    """with_token() and a call reject it with the same error, which does not contain it."""
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
        {"message_id": ""}, {"message_id": 5}, {"message_id": "01jd8q3x7b9z6m0n4r5s8t2vwy"},
        {"message_id": "01JD8Q3X7B9Z6M0N4R5S8T2VWY\n"},
        {"correlation_id": 5}, {"causation_id": "a\n"}, {"headers": {"Wee-Timeout": "1"}},
        {"headers": {"X": "a\r\nY: 1"}}, {"context": {"x": float("nan")}},
        {"context": {"x": object()}},
    ],
)  # fmt: skip
async def test_invalid_options_are_rejected_before_sending(options: dict[str, Any]) -> None:
    """Each call option is validated by the client."""
    transport = MemoryTransport()
    with pytest.raises(InvalidArgumentError):
        await ProbeClient(transport).run("k", Run(action="go"), **options)
    assert transport._loop is None


async def test_values_that_contain_themselves_are_rejected() -> None:
    """A value of `metadata.context` that JSON cannot hold is the same error everywhere."""
    loop: dict[str, Any] = {}
    loop["loop"] = [loop]
    client = ProbeClient(MemoryTransport())
    with pytest.raises(InvalidArgumentError, match="contains itself, or is nested too deeply"):
        client.with_context(loop=loop)
    with pytest.raises(InvalidArgumentError):
        await client.run("k", Run(action="go"), context=loop)
    with pytest.raises(InvalidArgumentError):
        await client.publish_happened("k", Happened(text="x"), context=loop)
    with pytest.raises(ValueError, match="contains itself, or is nested too deeply"):
        Principal(id="alice", claims=loop)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timout": 1}, r"a call has no option timout; did you mean timeout\?$"),
        ({"timeout": 1, "b": 1, "a": 2}, "a call has no option a; it has causation_id, context, "),
        ({"revision": 1}, r"a call has no option revision; did you mean if_revision\?$"),
    ],
)
async def test_unknown_call_options_are_rejected(options: dict[str, Any], message: str) -> None:
    """A misspelt option of a command or query is reported before sending."""
    transport = MemoryTransport()
    client = ProbeClient(transport)
    for call in (client.run("k", Run(action="go"), **options), client.get("k", **options)):
        with pytest.raises(TypeError, match=message):
            await call
    assert transport._loop is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"revison": 1}, r"an event has no option revison; did you mean revision\?$"),
        ({"revision": 1, "after": 1}, "an event has no option after; it has context, headers"),
    ],
)
async def test_invalid_publish_options_are_rejected(options: dict[str, Any], message: str) -> None:
    """An unknown option of an event is reported before sending."""
    transport = MemoryTransport()
    with pytest.raises(TypeError, match=message):
        await ProbeClient(transport).publish_happened("k", Happened(text="x"), **options)
    assert transport._loop is None


async def test_unknown_subscribe_options_are_rejected() -> None:
    """An unknown option of a subscription is reported before subscribing."""
    transport = MemoryTransport()
    options: dict[str, Any] = {"queue": "q"}
    with pytest.raises(TypeError, match=r"has no option queue; did you mean queue_group\?$"):
        await ProbeClient(transport).subscribe_happened(ignore_event, **options)
    assert transport._loop is None


async def ignore_event(event: ReceivedEvent[Happened]) -> None:
    """Ignore an event."""


async def test_with_methods_do_not_change_the_client() -> None:
    """Each with_* method returns a new client on the same connection."""
    client = ProbeClient(MemoryTransport())
    changed = client.with_timeout(1).with_token("t").with_header("X-A", "1").with_context(a=1)
    assert changed is not client
    assert changed.transport is client.transport
    assert client._defaults == CallDefaults()
    assert changed._defaults == CallDefaults(
        timeout=1, token="t", headers={"X-A": "1"}, context={"a": 1}
    )


@pytest.mark.parametrize("client", [ProbeClient, ProbeSyncClient])
def test_settings_of_other_types_are_rejected(client: Any) -> None:
    """The error names the argument, also where a function is given in place of a list of them."""

    async def one(context: Any, call_next: Any) -> Any:
        return await call_next(context)

    with pytest.raises(TypeError, match="interceptors is a list of interceptors, not function"):
        client.connect(interceptors=one)
    with pytest.raises(InvalidArgumentError, match=r"verify is 'strict', .* not \['strict'\]"):
        client.connect(verify=["strict"])
    with pytest.raises(TypeError, match="settings are TelemetrySettings, not dict"):
        client.connect().with_telemetry({})
