"""Values that programs give to processes of their own: they arrive whole."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.parcels import DELIVERED, PARCELS_EVENTS_STREAM, SHIPPED
from testkit.probe import HAPPENED, Happened
from weenats import ConnectionOptions, Principal, ReceivedEvent, TelemetrySettings
from weenats.codec.events import event_codec
from weenats.events.reader import stream_of

CLAIMS = {"sub": "ann", "groups": [{"name": "a", "roles": ["x"]}], "tenant": {"id": 7}}


def make_event() -> ReceivedEvent[Happened]:
    """Return a received event."""
    payload = event_codec(HAPPENED).encode("k", Happened(text="x"), 1, make_context())
    return ReceivedEvent(event_codec(HAPPENED).decode(payload), {})


def pickled(value: Any) -> Any:
    """Return what another process gets."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - it was pickled here


@pytest.mark.parametrize("copied", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize(
    "value",
    [
        Principal(id="ann", issuer="i", scopes=frozenset({"s"}), claims=CLAIMS, expires_at=1.0),
        TelemetrySettings(sampling={"queries": 0.25}, environment="test"),
        ConnectionOptions(user="ann", password="secret", max_payload=1000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_and_principals(value: Any, copied: Callable[[Any], Any]) -> None:
    """A copy equals its original, and is as read-only."""
    found = copied(value)
    assert found == value
    for name in ("claims", "sampling"):
        with pytest.raises((TypeError, AttributeError)):
            getattr(found, name)["new"] = 1


@pytest.mark.parametrize("copied", [pickled, copy.deepcopy])
@pytest.mark.parametrize("make", [make_context, make_event])
def test_contexts_stay_in_their_process(make: Callable[[], Any], copied: Any) -> None:
    """Those of requests and events belong to their message: the error says what to pass instead."""
    with pytest.raises(TypeError, match="cannot be pickled: it belongs to a message"):
        copied(make())
    assert copy.copy(make()).message_id


def test_events_that_were_pickled_one_by_one() -> None:
    """They have the same stream, although each has a copy of it."""
    assert stream_of([pickled(DELIVERED), SHIPPED]).name == PARCELS_EVENTS_STREAM.name
