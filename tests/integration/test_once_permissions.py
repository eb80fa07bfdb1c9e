"""The permissions of a service with idempotent commands: sufficient, and each one necessary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from testkit.nats_users import as_user, config_of
from testkit.once import BUCKET, OnceClient, OnceProbe
from testkit.probe import Outcome, Run
from weenats import ConnectionOptions, NatsServiceBuilder, ServiceError, new_message_id
from weenats.testing import NatsServer
from weenats.transport import NatsTransport
from weenats.transport.jetstream import JetStream, StreamMissingError
from weenats_codegen.loading import read
from weenats_codegen.permissions.jetstream import jetstream_of_service
from weenats_codegen.permissions.model import Permissions, of_service

_TEXT: Final = """
service: probe
version: 1.2.3
description: Does as it is told.
aggregates:
  thing:
    state: {type: object}
    commands:
      run: {description: Do as told., payload: {type: object}, once: 60s}
      forget: {description: Answer nothing., payload: {type: object}}
    queries: {get: {description: The thing.}}
"""
_INBOX: Final = "_INBOX_probe"


@pytest.fixture(scope="module")
def permissions(tmp_path_factory: pytest.TempPathFactory) -> Permissions:
    """The permissions of the probe with a command that is executed once."""
    folder: Path = tmp_path_factory.mktemp("probe")
    (folder / "service.yaml").write_text(_TEXT)
    contract = read(folder)
    assert len(jetstream_of_service(contract)) == 4
    return of_service(contract, inbox_prefix=_INBOX)


@pytest.fixture(scope="module")
def server(permissions: Permissions) -> Iterator[NatsServer]:
    """A server with a user that has them all, and one for each that it lacks."""
    users = {subject: _without(permissions, subject) for subject in _subjects(permissions)}
    with NatsServer(config=config_of({"free": None, "all": permissions, **users})) as running:
        yield running


def _subjects(permissions: Permissions) -> list[str]:
    entries = [*permissions.publish, *permissions.subscribe]
    return [each.subject for each in entries if each.subject.startswith(("$KV", "$JS", _INBOX))]


def _without(permissions: Permissions, subject: str) -> Permissions:
    return Permissions(
        tuple(each for each in permissions.publish if each.subject != subject),
        tuple(each for each in permissions.subscribe if each.subject != subject),
        permissions.reply_within,
    )


def _as(user: str) -> ConnectionOptions:
    return ConnectionOptions(user=user, password="secret", inbox_prefix=_INBOX)


async def outcomes(server: NatsServer, user: str) -> list[object]:
    """Start a service as a user without a bucket, and call and repeat a command."""
    free = NatsTransport(server.url, as_user("free"))
    jetstream = JetStream(free)
    replies: list[object] = []
    message_id = new_message_id()
    try:
        for _ in range(2):
            builder = NatsServiceBuilder(OnceProbe(), server.url, connection=_as(user))
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
        "$KV.probe-once.*",
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
