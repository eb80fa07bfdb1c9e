"""The permissions of a service with idempotent commands: sufficient, and each one necessary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from testkit.jetstream_users import INBOX, service_as, users_config
from testkit.nats_users import as_user
from testkit.once import BUCKET, CONTRACT, OnceClient, OnceProbe
from testkit.probe import Outcome, Run
from weenats import NatsServiceBuilder, ServiceError, new_message_id
from weenats.testing import NatsServer
from weenats.transport import NatsTransport
from weenats.transport.jetstream import JetStream, StreamMissingError
from weenats_codegen.loading import read
from weenats_codegen.permissions.buckets import buckets
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import of_service


@pytest.fixture(scope="module")
def permissions(tmp_path_factory: pytest.TempPathFactory) -> Permissions:
    """The permissions of the probe with a command that is executed once."""
    folder: Path = tmp_path_factory.mktemp("probe")
    (folder / "service.yaml").write_text(CONTRACT)
    contract = read(folder)
    assert len(buckets(contract)) == 4
    return of_service(contract, inbox_prefix=INBOX)


@pytest.fixture(scope="module")
def server(permissions: Permissions) -> Iterator[NatsServer]:
    """A server with a user that has them all, and one for each that it lacks."""
    with NatsServer(config=users_config(permissions)) as running:
        yield running


async def outcomes(server: NatsServer, user: str) -> list[object]:
    """Start a service as a user without a bucket, and call and repeat a command."""
    free = NatsTransport(server.url, as_user("free"))
    jetstream = JetStream(free)
    replies: list[object] = []
    message_id = new_message_id()
    try:
        for _ in range(2):
            builder = NatsServiceBuilder(OnceProbe(), server.url, connection=service_as(user))
            async with (
                builder.build(),
                OnceClient.connect(server.url, connection=as_user("free"), verify="off") as client,
            ):
                replies += [
                    await client.run("k", Run(action="go"), message_id=message_id) for _ in range(2)
                ]
    except ServiceError as error:
        replies.append(error)
    finally:
        with suppress(StreamMissingError):
            await jetstream.delete_stream(BUCKET)
        await free.close()
    return replies


async def test_permissions_are_sufficient(server: NatsServer) -> None:
    """The bucket is created and found, and commands are repeated."""
    assert await outcomes(server, "all") == [Outcome(text="go")] * 4


@pytest.mark.parametrize(
    "subject",
    [
        pytest.param("$KV.probe-once.*", marks=pytest.mark.slow),  # it waits for the deadline
        "$JS.API.STREAM.INFO.KV_probe-once",
        "$JS.API.STREAM.CREATE.KV_probe-once",
        "$JS.API.DIRECT.GET.KV_probe-once",
        "_INBOX_probe.>",
    ],
)
async def test_each_permission_is_necessary(server: NatsServer, subject: str) -> None:
    """Without it the service does not start, or no command or repeat is answered."""
    replies = await outcomes(server, subject)
    assert isinstance(replies[-1], ServiceError)
