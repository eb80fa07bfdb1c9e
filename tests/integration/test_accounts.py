"""Clients in an account of their own, with the configuration of the deployment guide."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Final

import pytest

from testkit.parcels import Parcels, ParcelsClient
from testkit.paths import REPOSITORY
from testkit.transports import connected
from weenats import ConnectionOptions, NatsServiceBuilder
from weenats.large import LargeObjects
from weenats.testing import NatsServer
from weenats.transport import Delivery

GUIDE: Final = REPOSITORY / "runtime" / "docs" / "deployment.md"
SERVICE: Final = ConnectionOptions(user="parcels", password="secret")
TILL: Final = ConnectionOptions(user="till", password="secret")


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    """A server with an account of services and one of clients."""
    found = re.search(r"```\n(accounts: \{.*?)```", GUIDE.read_text(), re.DOTALL)
    assert found is not None
    with NatsServer(config=found[1].replace("orders", "parcels")) as server:
        yield server


async def test_clients_of_another_account(server: NatsServer) -> None:
    """They discover, call, subscribe, and read large payloads of several messages."""
    handlers = Parcels()
    async with (
        NatsServiceBuilder(handlers, server.url, connection=SERVICE).build() as service,
        ParcelsClient.connect(server.url, connection=TILL) as client,
        connected(server.url, SERVICE) as of_services,
    ):
        assert [each.id for each in await client.list_instances()] == [service.instance_id]
        assert (await client.check_health()).status == "ok"
        assert await client.get_contract_document()
        stored = LargeObjects("parcels", of_services)
        await stored.open()
        data = bytes(range(256)) * 2000
        assert (
            await LargeObjects("parcels", client.transport).get(await stored.put(data, 60)) == data
        )
        sent = await LargeObjects("parcels", client.transport).put(data, 60)
        assert await stored.get(sent) == data


async def test_answers_of_jetstream_stay_in_the_account_of_the_client(server: NatsServer) -> None:
    """A client cannot let JetStream publish what it stored to the subjects of services."""
    reply = "parcels.stream.0.parcel.shipped"
    chunk = "$O.parcels-large.C.forged"
    in_services: list[str] = []
    arrived: asyncio.Queue[Delivery] = asyncio.Queue()
    async with connected(server.url, SERVICE) as services, connected(server.url, TILL) as till:
        await LargeObjects("parcels", services).open()
        services.subscribe("parcels.>", lambda each: in_services.append(each.subject))
        await services.fence()
        till.subscribe(reply, arrived.put_nowait)
        till.publish(chunk, b"forged")
        await till.fence()
        connection = till._connection
        assert connection is not None
        while arrived.empty():  # until it is stored
            request = json.dumps({"last_by_subj": chunk}).encode()
            connection.send("$JS.API.DIRECT.GET.OBJ_parcels-large", reply, request, b"")
            await till.fence()
            await asyncio.sleep(0.01)
        await services.fence()
    assert in_services == []
