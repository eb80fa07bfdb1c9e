"""Functions that take a transport say so when they get something else, such as a URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testkit.parcels import CONTRACT, DELIVERED, Delivered, Recorder
from testkit.projections import COUNTS
from weenats.discovery import check_health, get_contract_document, list_infos
from weenats.events import consume, publish, read_events, subscribe
from weenats.streams import plan_streams


async def handle(event: Any) -> None:
    """Do nothing."""


USES: dict[str, Callable[[Any], Any]] = {
    "publish": lambda given: publish(given, DELIVERED, "p-1", Delivered(count=1)),
    "subscribe": lambda given: subscribe(given, DELIVERED, handle),
    "consume": lambda given: consume(given, Recorder(), "billing"),
    "read_events": lambda given: anext(read_events(given, DELIVERED)),
    "check_health": lambda given: check_health(given, "parcels"),
    "get_contract_document": lambda given: get_contract_document(given, "parcels"),
    "list_infos": list_infos,
    "plan_streams": lambda given: plan_streams(given, CONTRACT.streams),
    "projection": lambda given: COUNTS.run(given).__aenter__(),
}


@pytest.mark.parametrize("given", ["nats://u:secret@127.0.0.1:1", None])
@pytest.mark.parametrize("use", USES)
async def test_what_is_no_transport(use: str, given: object) -> None:
    """The error names the argument and says what to give, without the URL."""
    with pytest.raises(TypeError, match="transport must be a transport, such as") as raised:
        await USES[use](given)
    assert "secret" not in str(raised.value)
