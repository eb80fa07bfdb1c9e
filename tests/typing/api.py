"""The types of the public API, checked by mypy and pyright (`make types`); it is never executed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, assert_type

from typing_extensions import TypeAliasType, override

from receipts import (
    AddItem,
    Finalize,
    ItemAdded,
    ItemNotFoundDetails,
    ItemNotFoundError,
    Receipt,
    ReceiptsClient,
    ReceiptsSyncClient,
    SummaryResult,
)
from receipts.handlers import Receipts
from receipts.operations import (
    ADD_ITEM,
    CONTRACT,
    FINALIZE,
    GET_RECEIPT,
    ITEM_ADDED,
    RECEIPT_AGGREGATE,
    SUMMARY,
)
from weenats import (
    Aggregate,
    AuthRequirement,
    CachedToken,
    CallNext,
    CircuitState,
    CircuitStateChange,
    Code,
    Command,
    ConnectionOptions,
    Entity,
    Event,
    EventSubscription,
    Interceptor,
    InvalidTokenError,
    JwtAuthConfig,
    Key,
    MessageContext,
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    NoAuthConfig,
    Principal,
    Query,
    ReceivedEvent,
    RequestContext,
    Response,
    ServiceClient,
    ServiceContract,
    ServiceError,
    SyncEventSubscription,
    TelemetryManager,
    TokenValidator,
    Transport,
    UnavailableError,
)
from weenats.auth import JwksKeySource, JwksState, JwtValidator, KeySource, StaticKeySource
from weenats.client import InstanceReply
from weenats.contract import AnyOperation
from weenats.discovery import (
    check_health,
    get_service_info,
    get_service_stats,
    list_instances,
    list_stats,
)
from weenats.events import EventConsumer, EventRoute, publish, subscribe
from weenats.projections import KeyValueView, Projection
from weenats.schema import JsonSchemas, Schema
from weenats.settings import EnvironmentSettings
from weenats.testing import ClusterServer, MemoryBroker, MemoryTransport, NatsCluster, NatsServer
from weenats.transport import Delivery, Subscription

if TYPE_CHECKING:
    import logging
    from uuid import UUID

    from pydantic import JsonValue

    from weenats.contract import RateLimit
    from weenats.protocol.messages import (
        AggregateId,
        HealthCheck,
        InfoResponse,
        PingResponse,
        StatsResponse,
    )
    from weenats.protocol.subjects import Kind

TENANT = Key[str]("tenant")


async def audit(context: RequestContext, call_next: CallNext) -> Response:
    """Use the attributes of a request."""
    assert_type(context.operation, AnyOperation)
    assert_type(context.key, str)
    assert_type(context.aggregate_id, AggregateId)
    assert_type(context.payload, object)
    assert_type(context.message_id, str)
    assert_type(context.correlation_id, str)
    assert_type(context.causation_id, str | None)
    assert_type(context.token, str | None)
    assert_type(context.principal, Principal | None)
    assert_type(context.headers, Mapping[str, str])
    assert_type(context.metadata_context, Mapping[str, JsonValue])
    assert_type(context.deadline, float | None)
    assert_type(context.remaining, float | None)
    with context.shield_from_deadline() as nothing:
        assert_type(nothing, None)
    context[TENANT] = "acme"
    assert_type(context[TENANT], str)
    assert_type(TENANT in context, bool)
    assert_type(context.replace(token=None), RequestContext)
    response = await call_next(context)
    assert_type(response, Response)
    assert_type(response.result, object)
    return response


def principal_attributes(principal: Principal) -> None:
    """Use the attributes of a caller."""
    assert_type(principal.id, str)
    assert_type(principal.issuer, str | None)
    assert_type(principal.scopes, frozenset[str])
    assert_type(principal.claims, Mapping[str, Any])
    assert_type(principal.expires_at, float | None)


class Validator:
    """A custom token validator."""

    async def validate(self, token: str) -> Principal:
        """Accept one token."""
        if token != "good":
            raise InvalidTokenError("unknown token")
        return Principal(id="ada")


def notify(change: CircuitStateChange) -> None:
    """Use the attributes of a change."""
    assert_type(change.operation, str)
    assert_type(change.old, CircuitState)
    assert_type(change.next_trial, float | None)


def authentication(config: JwtAuthConfig, keys: KeySource) -> None:
    """Create validators and key sources."""
    validator: TokenValidator = Validator()
    validator = JwtValidator(config, keys)
    assert_type(validator, JwtValidator)
    source = JwksKeySource("https://issuer.example/keys", ["EdDSA"])
    sources: list[KeySource] = [source, StaticKeySource({})]
    assert_type(source.state(), JwksState)
    assert_type(source.state().status, Literal["fresh", "stale", "empty"])
    assert_type(sources[0].generation, int)


def builder(transport: Transport) -> NatsService:
    """Call every method of the builder."""
    interceptor: Interceptor = audit
    start = NatsServiceBuilder(
        Receipts(), ["nats://localhost:4222"], connection=ConnectionOptions(name="receipts")
    )
    assert_type(NatsServiceBuilder(Receipts(), transport=transport), NatsServiceBuilder)
    assert_type(start.with_servers("nats://localhost:4222"), NatsServiceBuilder)
    assert_type(start.with_queue_group("workers", max_concurrency=50), NatsServiceBuilder)
    assert_type(start.with_interceptor(interceptor), NatsServiceBuilder)
    assert_type(start.with_auth(NoAuthConfig()), NatsServiceBuilder)
    assert_type(start.with_auth(JwtAuthConfig(algorithms=["EdDSA"])), NatsServiceBuilder)
    assert_type(start.with_auth(validator=Validator(), required=False), NatsServiceBuilder)
    assert_type(start.with_rate_limit(100, per_client=True), NatsServiceBuilder)
    assert_type(
        start.with_circuit_breaker(recovery_timeout=30, listener=notify), NatsServiceBuilder
    )
    assert_type(start.with_telemetry(sampling={"queries": 0.1}), NatsServiceBuilder)
    assert_type(start.with_drain_timeout(timedelta(seconds=20)), NatsServiceBuilder)
    assert_type(
        start.with_health(custom_checks=[{"name": "store", "check": lambda: True}]),
        NatsServiceBuilder,
    )
    assert_type(
        start.with_monitoring(
            custom_metrics=[
                {"name": "depth", "type": "gauge", "help": "Depth.", "read": lambda: 1.0}
            ]
        ),
        NatsServiceBuilder,
    )
    return start.build()


async def service(running: NatsService) -> None:
    """Use a running service."""
    assert_type(running.instance_id, str)
    assert_type(running.is_serving, bool)
    assert_type(running.is_member, bool)
    assert_type(running.jwks_state, JwksState | None)
    async with running as entered:
        assert_type(entered, NatsService)
        await running.wait_until_stopped()


class Lived(Receipts):
    """Handlers with a lifespan, as a user writes it."""

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Make a client of the service's connection."""
        async with ReceiptsClient.sharing(self) as receipts:
            assert_type(receipts, ReceiptsClient)
            assert_type(ServiceClient.sharing(receipts), ServiceClient)
            yield


def settings(environment: EnvironmentSettings) -> None:
    """Use settings of the environment."""
    assert_type(environment.builder(Lived()), NatsServiceBuilder)
    assert_type(environment.connection("x"), ConnectionOptions)
    assert_type(environment.max_concurrency, int | None)
    assert_type(EnvironmentSettings(user="ada", password="x"), EnvironmentSettings)


async def client(transport: Transport) -> None:
    """Create clients and call a service."""
    assert_type(ReceiptsClient(transport), ReceiptsClient)
    receipts = ReceiptsClient.connect(
        "nats://localhost:4222", token=CachedToken(lambda: "token"), timeout=2, interceptors=[audit]
    )
    assert_type(receipts, ReceiptsClient)
    assert_type(receipts.with_timeout(timedelta(seconds=1)), ReceiptsClient)
    assert_type(receipts.with_token("token"), ReceiptsClient)
    assert_type(receipts.with_header("X-Tenant", "acme"), ReceiptsClient)
    assert_type(receipts.with_context(tenant="acme"), ReceiptsClient)
    assert_type(receipts.with_interceptor(audit), ReceiptsClient)
    assert_type(receipts.with_retry(3), ReceiptsClient)
    assert_type(receipts.with_telemetry(), ReceiptsClient)
    assert_type(receipts.transport, Transport)
    assert_type(receipts.telemetry, TelemetryManager)
    item = AddItem(name="Tea", price=0.1, quantity=3)
    assert_type(await receipts.add_item("r-1", item, timeout=1.5), Receipt)
    assert_type(await receipts.finalize("r-1", Finalize(), token="token"), Receipt)
    entity = await receipts.get_receipt("r-1", headers={"X-Tenant": "acme"})
    assert_type(entity, Entity[Receipt])
    assert_type(entity.state, Receipt)
    assert_type(entity.revision, int)
    assert_type(await receipts.execute(FINALIZE, "r-1", Finalize()), Receipt)
    assert_type(await receipts.query(GET_RECEIPT, "r-1", None), Entity[Receipt])
    assert_type(await receipts.summary(timeout=2), SummaryResult)
    assert_type(await receipts.get_service_info(), InfoResponse)
    assert_type(receipts.on_instance("id"), ReceiptsClient)
    replies = await receipts.on_all(
        lambda one: one.get_receipt("r-1"), max_wait=timedelta(seconds=1)
    )
    assert_type(replies, list[InstanceReply[Entity[Receipt]]])
    assert_type(replies[0].result(), Entity[Receipt])
    assert_type(replies[0].error, ServiceError | None)
    assert_type(await receipts.get_service_stats(), StatsResponse)
    assert_type(await receipts.list_instances(), list[PingResponse])
    assert_type(await receipts.check_health(), HealthCheck)
    async with receipts as entered:
        assert_type(entered, ReceiptsClient)


def keys_of_events(
    typed: ReceivedEvent[ItemAdded, UUID], service: ReceivedEvent[ItemAdded, None]
) -> None:
    """The key has the type in the contract; `str` is the default."""
    assert_type(typed.key, UUID)
    assert_type(service.key, None)


class Totals(EventConsumer):
    """Handlers of a projection."""

    def __init__(self, view: KeyValueView[int]) -> None:
        self.view = view

    @override
    def routes(self) -> tuple[EventRoute, ...]:
        return ()


async def projections(transport: Transport) -> None:
    """A projection has the type of its view, and a view that of its values."""
    totals = Projection("totals", KeyValueView.of(int), Totals)
    assert_type(totals, Projection[KeyValueView[int]])
    async with totals.run(transport) as running:
        view = await running.view()
        assert_type(await view.get("r-1"), int | None)
        async for key, value in view.items():
            assert_type(key, tuple[str, ...])
            assert_type(value, int)


def aggregates() -> None:
    """An aggregate has the type of its state; operations name it, or none."""
    assert_type(RECEIPT_AGGREGATE, Aggregate[Receipt])
    assert_type(ADD_ITEM.aggregate, Aggregate[Any] | None)
    assert_type(SUMMARY.label, str)


def sync_client(transport: Transport, data: ItemAdded) -> None:
    """Create synchronous clients and call a service."""
    assert_type(ReceiptsSyncClient(transport), ReceiptsSyncClient)
    receipts = ReceiptsSyncClient.connect(token="token", timeout=2, interceptors=[audit])
    assert_type(receipts, ReceiptsSyncClient)
    assert_type(receipts.with_timeout(timedelta(seconds=1)).with_retry(3), ReceiptsSyncClient)
    item = AddItem(name="Tea", price=0.1, quantity=3)
    assert_type(receipts.add_item("r-1", item, timeout=1.5), Receipt)
    assert_type(receipts.get_receipt("r-1"), Entity[Receipt])
    assert_type(receipts.summary(), SummaryResult)
    assert_type(receipts.execute(FINALIZE, "r-1", Finalize()), Receipt)
    assert_type(receipts.query(GET_RECEIPT, "r-1", None), Entity[Receipt])
    assert_type(receipts.list_instances(), list[PingResponse])
    receipts.publish_item_added("r-1", data, revision=1)
    with receipts as entered:
        assert_type(entered, ReceiptsSyncClient)
        with receipts.subscribe_item_added(handle_in_thread, max_concurrency=1) as subscription:
            assert_type(subscription, SyncEventSubscription)


def handle_in_thread(event: ReceivedEvent[ItemAdded]) -> None:
    """Use the data of an event."""
    assert_type(event.data, ItemAdded)


async def handle(event: ReceivedEvent[ItemAdded]) -> None:
    """Use the attributes of an event."""
    context: MessageContext = event
    assert_type(event.id, str)
    assert_type(event.key, str)
    assert_type(event.revision, int | None)
    assert_type(event.timestamp, str)
    assert_type(event.data, ItemAdded)
    assert_type(context.correlation_id, str)


async def events(receipts: ReceiptsClient, transport: Transport, data: ItemAdded) -> None:
    """Publish events and subscribe to them."""
    await receipts.publish_item_added("r-1", data, revision=1)
    await publish(transport, ITEM_ADDED, "r-1", data, revision=1)
    generated = await receipts.subscribe_item_added(handle, max_concurrency=1)
    assert_type(generated, EventSubscription)
    assert_type(await subscribe(transport, ITEM_ADDED, handle), EventSubscription)
    async with generated as entered:
        assert_type(entered, EventSubscription)


async def discovery(transport: Transport) -> None:
    """Ask running services about themselves."""
    assert_type(await list_instances(transport), list[PingResponse])
    assert_type(await list_stats(transport, "receipts"), list[StatsResponse])
    assert_type(await get_service_info(transport, "receipts"), InfoResponse)
    assert_type(await get_service_stats(transport, "receipts", "id"), StatsResponse)
    assert_type(await check_health(transport, "receipts", timeout=1), HealthCheck)


def contract() -> None:
    """Use the descriptors of generated code."""
    assert_type(CONTRACT, ServiceContract)
    assert_type(ADD_ITEM, Command[AddItem, Receipt])
    assert_type(GET_RECEIPT, Query[None, Entity[Receipt]])
    assert_type(ITEM_ADDED, Event[ItemAdded])
    assert_type(ADD_ITEM.kind, Kind)
    assert_type(ADD_ITEM.payload, type[AddItem] | Schema[AddItem])
    assert_type(ADD_ITEM.result, type[Receipt] | Schema[Receipt])
    assert_type(ADD_ITEM.auth, AuthRequirement | None)
    assert_type(ADD_ITEM.rate_limit, RateLimit | None)
    assert_type(ADD_ITEM.timeout, float | None)
    assert_type(ADD_ITEM.subject, str)


JSON_SCHEMAS = JsonSchemas("{}")
Tags = TypeAliasType("Tags", list[str])
TAG = Command(
    name="tag",
    contract=CONTRACT,
    payload=Schema[Tags](Tags, JSON_SCHEMAS["Tags"]),
    result=Schema[Tags | None](Tags | None),
    description="Tag it.",
)
TAGGED = Event(name="tagged", contract=CONTRACT, data=Schema[Tags](Tags), description="Tagged.")
TAGS = Query(
    name="tags",
    contract=CONTRACT,
    parameters=NoneType,
    result=Schema[Entity[Tags]](Entity[Tags], JSON_SCHEMAS["Tags"]),
    description="The tags.",
)


async def parts(client: ServiceClient, transport: Transport) -> None:
    """Call operations whose payloads, results and states are of any type."""
    assert_type(TAG, Command[list[str], list[str] | None])
    assert_type(await client.execute(TAG, "r-1", ["a"]), list[str] | None)
    assert_type(await client.query(TAGS, "r-1", None), Entity[list[str]])
    await publish(transport, TAGGED, "r-1", ["a"], revision=1)


def errors(error: ServiceError, declared: ItemNotFoundError) -> None:
    """Use the attributes of errors."""
    assert_type(error.code, Code)
    assert_type(error.number, int)
    assert_type(error.name, str)
    assert_type(error.message, str)
    assert_type(error.remote, bool)
    assert_type(error.retry_after, float | None)
    assert_type(error.details_type, type[Any] | Schema[Any] | None)
    assert_type(declared.details, ItemNotFoundDetails)
    assert_type(UnavailableError("later", details={"retryAfter": 100}), UnavailableError)


async def transports() -> None:
    """Use both transports."""
    transport: Transport = NatsTransport("nats://localhost:4222", ConnectionOptions())
    transport = MemoryTransport(MemoryBroker(), max_payload=1024)
    assert_type(transport.server_address, tuple[str, int] | None)
    assert_type(transport.is_connected, bool)
    assert_type(transport.max_payload, int)
    delivery = await transport.request("subject", b"", b"", 1.0)
    assert_type(delivery, Delivery)
    assert_type(delivery.payload, bytes)
    subscription: Subscription = transport.subscribe("subject", lambda _: None)
    await transport.unsubscribe([subscription])


def servers() -> None:
    """Use the servers for tests."""
    with NatsServer(arguments=["-D"]) as server:
        assert_type(server, NatsServer)
        assert_type(server.url, str)
        assert_type(server.restart(), NatsServer)
    with NatsCluster(3) as cluster:
        assert_type(cluster.servers, tuple[ClusterServer, ...])
        assert_type(cluster.urls, list[str])
        assert_type(cluster.servers[0].restart(), ClusterServer)


def logs() -> None:
    """Configure logging."""
    from weenats.logging import configure

    assert_type(configure(json=True, principal="hashed"), logging.Handler)
