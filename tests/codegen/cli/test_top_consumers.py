"""What `weenats top` knows of consumers when it may not ask for them."""

from typing import Any, cast

import pytest

from weenats.testing import MemoryBroker, MemoryTransport
from weenats_codegen.cli.top_consumers import ConsumerWatch


@pytest.mark.parametrize(("jetstream", "requests"), [(False, 1), (True, 2)])
async def test_without_an_answer_there_are_no_consumers(
    monkeypatch: pytest.MonkeyPatch,
    jetstream: bool,
    requests: int,
) -> None:
    """A server without JetStream is asked once; one that fails is asked again."""
    broker = MemoryBroker(jetstream=jetstream)
    transport: Any = MemoryTransport(broker)
    await transport.connect()
    asked: list[str] = []
    deliver = broker.deliver

    def record(subject: str, *rest: Any) -> None:
        asked.append(subject)
        deliver(subject, *rest)

    monkeypatch.setattr(broker, "deliver", record)
    watch = ConsumerWatch(cast("Any", transport), "orders")
    assert not await watch.look()
    assert not await watch.look()
    assert asked.count("$JS.API.STREAM.LIST") == requests
