"""Permissions for durable events: sufficient on a real server, and each entry is used."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from testkit.nats_users import as_user, config_of
from testkit.parcels import (
    CONTRACT_FOLDER,
    Delivered,
    DepotClosed,
    Hired,
    Parcels,
    Recorder,
    Shipped,
)
from testkit.projections import COUNTS, NAME
from testkit.waiting import until
from weenats import NatsServiceBuilder, NatsTransport
from weenats.events import consume
from weenats.projections.builder import ProjectionBuilder
from weenats.streams import apply_streams, plan_streams
from weenats.streams.consumer_states import consumer_states
from weenats.streams.consumers import StreamConsumer
from weenats.streams.dead_letters import DeadLetters
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream
from weenats.transport.nats_py.connection import NatsConnection
from weenats_codegen.cli.top import poll
from weenats_codegen.cli.top_consumers import ConsumerWatch
from weenats_codegen.loading import read
from weenats_codegen.permissions.durable import of_consumer, of_operator
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import of_service
from weenats_codegen.permissions.projections import of_projection

CONTRACT = read(CONTRACT_FOLDER)
ROLES = {
    "service": of_service(CONTRACT, streams="apply", inbox_prefix="_INBOX"),
    "consumer": of_consumer(CONTRACT, "billing"),
    "operator": of_operator(CONTRACT, projections=[NAME]),
    "projection": of_projection(CONTRACT, NAME),
}


BAD_COURIER = uuid4()


class Used:
    """The subjects that connections publish to and subscribe to, by their user."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.published: dict[str, set[str]] = {}
        self.subscribed: dict[str, set[str]] = {}
        send, subscribe = NatsConnection.send, NatsTransport.subscribe

        def sending(connection: NatsConnection, subject: str, *rest: Any) -> None:
            self.published.setdefault(connection.options["user"], set()).add(subject)
            send(connection, subject, *rest)

        def subscribing(transport: Any, subject: str, *rest: Any) -> Any:
            self.subscribed.setdefault(transport._options.user, set()).add(subject)
            return subscribe(transport, subject, *rest)

        monkeypatch.setattr(NatsConnection, "send", sending)
        monkeypatch.setattr(NatsTransport, "subscribe", subscribing)

    def unused(self, role: str, permissions: Permissions) -> list[str]:
        """Return the entries for JetStream that a user did not use."""
        return [
            entry.subject
            for entry in permissions.publish
            if not any(matches(entry.subject, each) for each in self.published[role])
        ]


def matches(pattern: str, subject: str) -> bool:
    """Return whether a pattern with wildcards covers a subject."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(
        one in {"*", other} for one, other in zip(wanted, given, strict=True)
    )


async def publish_everything(handlers: Parcels) -> None:
    """Publish an event of each kind, and one in each partition."""
    for number in range(40):
        await handlers.publish_delivered(f"p-{number}", Delivered(count=number))
        await handlers.publish_hired(uuid4(), Hired(name="Ann"))
    await handlers.publish_hired(BAD_COURIER, Hired(name="Bob"))
    await handlers.publish_shipped("p-1", Shipped(depot="A"))
    await handlers.publish_depot_closed(DepotClosed(depot="A"))


async def test_permissions_are_sufficient_and_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service, a consumer and an operator work without violations, and use each entry."""
    used = Used(monkeypatch)
    handlers = Parcels()
    with NatsServer(config=config_of({"free": None, **ROLES})) as server:

        def connection(role: str) -> NatsTransport:
            return NatsTransport(server.url, as_user(role))

        consumer, operator = connection("consumer"), connection("operator")
        service = (
            NatsServiceBuilder(handlers, server.url, connection=as_user("service"))
            .with_streams("apply")
            .build()
        )

        async def act(event: Any) -> None:
            if event.key in {"p-1", BAD_COURIER}:
                raise ValueError

        recorder = Recorder(act)
        async with service:
            await publish_everything(handlers)
            async with await consume(consumer, recorder, "billing", max_deliver=1):
                await until(lambda: len(recorder.attempts) == 83)
            await publish_everything(handlers)
            for stream in CONTRACT.streams:
                assert (await StreamConsumer(consumer, stream, "billing").state()).lag
            projection = connection("projection")
            await project(projection)
            await projection.close()
            await operate(operator)
        await consumer.close()
        await operator.close()
        assert "Violation" not in server.log()
    update = "$JS.API.STREAM.UPDATE."
    dead_letters = {f"{each.name}-dead-letters" for each in CONTRACT.streams}
    names = dead_letters | {each.name for each in CONTRACT.streams}
    rare = {
        "service": {
            *("parcels.events.parcel.moved", "parcels.monitoring"),
            "parcels.stream.*.courier.resigned",
            *(f"{update}{each}" for each in names),  # the streams were created
        },
        "consumer": {
            *(  # after a failure, and after a replay
                f"$JS.API.{operation}.{each}"
                for operation in ("STREAM.INFO", "DIRECT.GET")
                for each in dead_letters
            ),
            *(  # after somebody has changed one
                f"$JS.API.CONSUMER.DELETE.{stream.name}.billing-{partition}"
                for stream in CONTRACT.streams
                for partition in range(stream.partitions)
            ),
        },
        "projection": {  # it reads the other stream
            "$JS.API.STREAM.INFO.couriers",
            "$JS.API.STREAM.MSG.GET.couriers",
            f"{update}KV_{NAME}-projection",  # after somebody has changed the bucket
            *(
                f"$JS.API.CONSUMER.{verb}.couriers.*"
                for verb in ("INFO", "CREATE", "MSG.NEXT", "DELETE")
            ),
        },
        "operator": {
            "$SYS.REQ.SERVER.PING.JSZ",  # streams status
            "$SRV.STATS",  # top without a service
        },
    }
    for role, permissions in ROLES.items():
        assert set(used.unused(role, permissions)) == rare[role], role


async def project(transport: NatsTransport) -> None:
    """Keep a projection up to date, rebuild and read it."""
    builder = ProjectionBuilder(COUNTS, transport)
    for _ in range(2):
        await builder.create()
        await builder.build()
    await builder.remove_outdated(-1.0)
    async with COUNTS.run(transport) as counts:
        await counts.caught_up()
        assert [each async for each in (await counts.view()).items("p-1")] == []


async def operate(transport: NatsTransport) -> None:
    """Do what the commands for streams and dead letters do."""
    seen = await poll(transport, "parcels", ConsumerWatch(transport, "parcels"))
    assert {each.name for each in seen.consumers.durable["parcels"]} == {"billing"}
    [view] = seen.consumers.projections["parcels"]
    assert (view.name, view.version, view.lag) == (NAME, 1, 0)
    for stream in Parcels.contract.streams:
        await consumer_states(transport, stream)
        part = StreamConsumer(transport, stream, "billing")
        wait = await part.ack_wait()
        await part.delete()
        await part.prepare("new", wait)
        letters = DeadLetters(transport, stream)
        for letter in [each async for each in letters.list()]:
            await letters.get(letter.sequence)
            await letters.retry(letter)
    jetstream = JetStream(transport)
    for name in [
        each for stream in Parcels.contract.streams for each in (stream.name, stream.dead_letters)
    ]:
        info = await jetstream.stream_info(name)
        await jetstream.update_stream(info.config)
        await jetstream.delete_stream(name)
    plans = await plan_streams(transport, Parcels.contract.streams)
    await apply_streams(transport, plans)
