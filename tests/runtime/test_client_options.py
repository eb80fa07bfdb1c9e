"""What a client refuses to send with its calls, before there is a connection."""

from __future__ import annotations

from typing import Any

import pytest

from probe import ProbeClient, Run
from weenats.errors import InvalidArgumentError
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


async def test_overlays_leave_the_client_as_it_was() -> None:
    """Each with_* returns another client on the same connection."""
    client = ProbeClient(MemoryTransport())
    changed = client.with_timeout(1).with_token("t").with_header("X-A", "1").with_context(a=1)
    assert changed is not client
    assert changed.transport is client.transport
    assert (client._timeout, client._token, dict(client._headers)) == (None, None, {})
    assert (dict(changed._headers), changed._context) == ({"X-A": "1"}, {"a": 1})
