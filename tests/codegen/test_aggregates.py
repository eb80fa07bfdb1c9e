"""A generated package with several aggregates, typed keys, and operations without a key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
import yaml
from opentelemetry.trace import SpanKind

from testkit.telemetry import EVERYTHING, recording
from testkit.waiting import LIMIT
from weenats import (
    InvalidArgumentError,
    NatsServiceBuilder,
    RequestContext,
    ResourceExhaustedError,
    UnavailableError,
)
from weenats.contract import Entity
from weenats.testing import MemoryTransport

CONTRACT: Final = Path(__file__).parent / "golden" / "aggregates" / "contract"
ID: Final = UUID("6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11")


@pytest.fixture(scope="module")
def orders(generated: Callable[..., Any]) -> ModuleType:
    """Package of the contract."""
    contract = yaml.safe_load((CONTRACT / "service.yaml").read_text())
    files = {"order.schema": json.loads((CONTRACT / "order.schema.json").read_text())}
    return generated(contract, **files)


@pytest.fixture
def handlers(orders: ModuleType) -> Any:  # noqa: C901 - a handler for each operation
    """Handlers that record the keys and contexts that they get."""
    module: Any = orders

    class Orders(module.OrdersHandlers):  # type: ignore[misc]
        def __init__(self) -> None:
            self.seen = []

        def _see(self, key: object, context: RequestContext) -> None:
            self.seen.append((key, context.key))

        async def place(self, key: UUID, command: Any, context: RequestContext) -> None:
            self._see(key, context)
            await self.publish_order_placed(key, command)
            await self.publish_catalog_changed(module.CatalogChanged())

        async def write(self, key: str, command: str, context: RequestContext) -> None:
            self._see(key, context)

        async def import_batch(self, command: list[Any], context: RequestContext) -> int:
            self._see(None, context)
            return len(command)

        async def get_order(self, key: UUID, context: RequestContext) -> Any:
            self._see(key, context)
            state = module.Order(item="tea")
            return Entity[module.Order](id=context.aggregate_id, state=state, revision=1)

        async def history(self, key: UUID, context: RequestContext) -> list[str]:
            self._see(key, context)
            return ["placed"]

        async def get_customer(self, key: str, query: Any, context: RequestContext) -> Any:
            self._see(key, context)
            state = module.Customer(name=key)
            return Entity[module.Customer](id=context.aggregate_id, state=state, revision=1)

        async def search(self, query: Any, context: RequestContext) -> list[Any]:
            self._see(None, context)
            return [module.Order(item=query.text)]

        async def ping(self, context: RequestContext) -> str:
            with pytest.raises(RuntimeError, match="ping belongs to the service"):
                _ = context.aggregate_id
            self._see(None, context)
            return "pong"

    return Orders()


@pytest_asyncio.fixture
async def client(orders: ModuleType, handlers: Any, nats_url: str) -> AsyncIterator[Any]:
    """Client of a running service, whose circuit breaker opens at the first failure."""
    builder = NatsServiceBuilder(handlers, nats_url).with_circuit_breaker(failure_threshold=1)
    async with builder.build(), orders.OrdersClient.connect(nats_url) as client:
        yield client


async def ask(transport: Any, subject: str, body: Any) -> Any:
    """Send a request that another language may have written, and return the reply."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = await transport.request(
        subject, data, b"", asyncio.get_running_loop().time() + 5, lambda _: True
    )
    return json.loads(reply.payload)


async def test_subjects(orders: ModuleType) -> None:
    """Only what belongs to an aggregate has its name in its subject."""
    assert orders.GET_ORDER.subject == "orders.query.order.get"
    assert orders.GET_CUSTOMER.subject == "orders.query.customer.get"
    assert orders.IMPORT_BATCH.subject == "orders.command.import-batch"
    assert orders.SEARCH.subject == "orders.query.search"
    assert orders.CATALOG_CHANGED.subject == "orders.events.catalog-changed"
    labels = [each.label for each in (orders.GET_ORDER, orders.GET_CUSTOMER, orders.SEARCH)]
    assert labels == ["order.get", "customer.get", "search"]


async def test_typed_keys(orders: ModuleType, handlers: Any, client: Any) -> None:
    """Handlers and clients have the Python type of a key; on the wire it is the string."""
    assert (await client.get_order(ID)).id.key == str(ID)
    assert await client.history(ID) == ["placed"]
    parameters = orders.GetCustomerParameters()
    assert (await client.get_customer("c-7", parameters)).state.name == "c-7"
    await client.write("anything", "text")
    assert handlers.seen == [
        (ID, str(ID)),
        (ID, str(ID)),
        ("c-7", "c-7"),
        ("anything", "anything"),
    ]


async def test_operations_without_key(orders: ModuleType, handlers: Any, client: Any) -> None:
    """Operations of the service itself have no key, neither in signatures nor on the wire."""
    assert await client.ping() == "pong"
    (found,) = await client.search(orders.SearchParameters(text="tea"))
    assert found.item == "tea"
    assert await client.import_batch([found, found]) == 2
    assert handlers.seen == [(None, "")] * 3


async def test_foreign_requests_without_key(client: Any) -> None:
    """Requests to the service itself need no aggregateId, and members may have any order."""
    for body in ({}, {"metadata": {"messageId": "01JD8Q3X7B9Z6M0N4R5S8T2VWY"}}, b'{ "later": 1 }'):
        reply = await ask(client.transport, "orders.query.ping", body)
        is_valid = not (isinstance(body, dict) and body)  # metadata needs a timestamp
        assert reply.get("result") == ("pong" if is_valid else None)
    reply = await ask(client.transport, "orders.command.import-batch", {"later": 1, "command": []})
    assert reply["result"] == 0
    for body in ({}, {"command": 5}, b'{"command":[],"metadata":5}', b'{"command":[] "metadata":'):
        reply = await ask(client.transport, "orders.command.import-batch", body)
        assert reply["error"]["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("subject", "keys"),
    [
        ("orders.query.order.get", ["r-1", str(ID)[:-1], ""]),
        ("orders.query.customer.get", ["c-0", "zzz", "c-1234567890"]),
    ],
)
async def test_invalid_keys_are_refused_by_the_service(
    handlers: Any, client: Any, subject: str, keys: list[str]
) -> None:
    """A key is checked before the handler, and is no failure to the circuit breaker."""
    aggregate = subject.split(".")[2]
    for key in keys * 3:
        body = {"aggregateId": {"type": aggregate, "key": key}, "query": {}}
        reply = await ask(client.transport, subject, body)
        assert reply["error"]["code"] == "INVALID_ARGUMENT"
        (violation,) = reply["error"]["details"]["violations"]
        assert violation["pointer"] == "/aggregateId/key"
        assert not key or key not in violation["message"]
    assert handlers.seen == []
    assert await client.history(ID) == ["placed"]


async def test_invalid_keys_are_refused_by_the_client(orders: ModuleType, client: Any) -> None:
    """A key of another type, or that the contract does not allow, is not sent."""
    with pytest.raises(InvalidArgumentError, match="key of order is not a valid OrderKey: Input"):
        await client.history("r-1")
    with pytest.raises(InvalidArgumentError, match="the key of customer breaks the contract"):
        await client.get_customer("c-0", orders.GetCustomerParameters())
    with pytest.raises(InvalidArgumentError, match="the key of note is a str, not UUID"):
        await client.write(ID, "text")
    with pytest.raises(InvalidArgumentError, match="what belongs to the service itself has no key"):
        await client.query(orders.PING, "k", None)


async def test_events(orders: ModuleType, client: Any) -> None:
    """Events have the typed key and need no revision; those of the service have neither."""
    placed: asyncio.Queue[Any] = asyncio.Queue()
    changed: asyncio.Queue[Any] = asyncio.Queue()
    closed: asyncio.Queue[Any] = asyncio.Queue()
    async with (
        await client.subscribe_order_placed(placed.put),
        await client.subscribe_catalog_changed(changed.put),
        await client.subscribe_day_closed(closed.put),
    ):
        await client.place(ID, orders.Order(item="tea"))
        await client.publish_day_closed(date(2026, 3, 1), {}, revision=7)
        event = await asyncio.wait_for(placed.get(), LIMIT)
        assert (event.key, event.revision) == (ID, None)
        event = await asyncio.wait_for(changed.get(), LIMIT)
        assert (event.key, event.revision) == (None, None)
        event = await asyncio.wait_for(closed.get(), LIMIT)
        assert (event.key, event.revision) == (date(2026, 3, 1), 7)
    with pytest.raises(InvalidArgumentError, match="catalog-changed has no aggregate"):
        await client.publish_catalog_changed(orders.CatalogChanged(), revision=1)
    with pytest.raises(InvalidArgumentError, match="the key of day is not a valid DayKey"):
        await client.publish_day_closed("yesterday", {})


async def test_events_with_invalid_keys_are_dropped(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A notification whose key the contract does not allow does not reach the handler."""
    seen: asyncio.Queue[Any] = asyncio.Queue()
    async with await client.subscribe_day_closed(seen.put, max_concurrency=1):
        for key in ("yesterday", "2026-03-02"):
            notification = {
                "id": "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
                "type": "day-closed",
                "aggregate": {"type": "day", "key": key},
                "timestamp": "2026-03-01T09:30:00.125Z",
                "data": {},
            }
            client.transport.publish(
                "orders.events.day.day-closed", json.dumps(notification).encode()
            )
        assert (await asyncio.wait_for(seen.get(), LIMIT)).key == date(2026, 3, 2)
    assert "/aggregate/key" in caplog.text
    assert "yesterday" not in caplog.text


async def test_discovery_tells_aggregates(client: Any) -> None:
    """INFO names the aggregate of an operation, and none for those of the service itself."""
    info = await client.get_service_info()
    found = {each.subject: each.metadata.get("aggregate") for each in info.endpoints}
    assert found["orders.query.order.get"] == "order"
    assert found["orders.query.customer.get"] == "customer"
    assert found["orders.query.search"] is None


def test_explain_names_keys_that_json_schema_checks(handlers: Any) -> None:
    """A key is shown where its type alone does not enforce the schema."""
    policies = NatsServiceBuilder(handlers).explain()
    judged = {
        each.operation: setting.value
        for each in policies
        for setting in each.settings
        if setting.name == "checked by JSON Schema"
    }
    assert judged["customer.get"] == ["key (CustomerKey#/not)"]
    assert judged["ping"] == judged["write"] == []


async def test_each_get_has_its_circuit_breaker(
    orders: ModuleType, handlers: Any, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queries `get` of two aggregates have circuit breakers and labels of their own."""

    async def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(handlers, "get_order", fail)
    builder = NatsServiceBuilder(handlers, nats_url).with_circuit_breaker(failure_threshold=1)
    labels = [policy.operation for policy in builder.explain()]
    assert {"order.get", "customer.get", "ping"} <= set(labels)
    async with builder.build(), orders.OrdersClient.connect(nats_url) as client:
        with pytest.raises(Exception, match="INTERNAL"):
            await client.get_order(ID)
        with pytest.raises(UnavailableError):
            await client.get_order(ID)
        assert await client.get_customer("c-7", orders.GetCustomerParameters())


async def test_features_of_operations_without_key(orders: ModuleType, handlers: Any) -> None:
    """Telemetry, rate limits and circuit breakers know operations of the service itself."""
    transport = MemoryTransport()
    builder = (
        NatsServiceBuilder(handlers, transport=transport)
        .with_telemetry(sampling=EVERYTHING)
        .with_rate_limit(max_requests_per_second=0.001, burst=2)
        .with_circuit_breaker()
    )
    client = orders.OrdersClient(transport)
    with recording() as observed:
        async with builder.build():
            assert await client.import_batch([orders.Order(item="tea")]) == 1
            assert await client.ping() == "pong"
            with pytest.raises(ResourceExhaustedError):
                await client.ping()
    served = [(span.name, span.attributes or {}) for span in observed.of(SpanKind.SERVER)]
    assert [name for name, _ in served] == ["orders/import-batch", "orders/ping", "orders/ping"]
    assert not [key for _, attributes in served for key in attributes if "aggregate" in key]
