"""Operations with `large`: payloads and results that do not fit into a message."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from time import monotonic
from typing import Any, Final

import pytest
from typing_extensions import Unpack

from testkit.jetstream_users import INBOX, service_as, stored_subjects, users_config
from testkit.nats_users import as_user
from testkit.once import CONTRACT as CONTRACT_TEXT
from testkit.probe import (
    FORGET,
    RUN,
    MissingDetails,
    NotReadyError,
    Outcome,
    PartMissingError,
    Probe,
    ProbeClient,
    Run,
)
from testkit.tokens import FakeValidator, token
from testkit.transports import disconnected
from testkit.waiting import LIMIT, answered, ask_until
from weenats import (
    CallNext,
    CallOptions,
    DeadlineExceededError,
    Endpoint,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MessageTooLargeError,
    NatsService,
    NatsServiceBuilder,
    NatsTransport,
    RequestContext,
    ResourceExhaustedError,
    Response,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
    new_message_id,
)
from weenats.contract import Command
from weenats.large import LargeObjects, Reference
from weenats.protocol.messages import CommandSuccess
from weenats.testing import MemoryBroker, MemoryTransport, NatsServer
from weenats.transport import Delivery
from weenats.transport.jetstream import (
    JetStream,
    JetStreamRefusedError,
    StreamMissingError,
)
from weenats_codegen.cli.call import Arguments, exchange
from weenats_codegen.cli.large_payloads import stored_payload, whole_reply
from weenats_codegen.loading import read
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import of_client, of_service

MAX_PAYLOAD: Final = 65_536
LARGE: Final[Command[Any, Any]] = replace(RUN, large=1_000_000, idempotent=True)
SIZE: Final = 3 * MAX_PAYLOAD
STREAM: Final = "OBJ_probe-large"
SUBJECT: Final = "probe.command.thing.run"


class LargeProbe(Probe):
    """A probe whose command may be large."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations."""
        return (Endpoint.command(LARGE, self.run), Endpoint.command(FORGET, self.forget))


class LargeClient(ProbeClient):
    """A client that knows this command."""

    async def run(self, key: str, command: Run, **options: Unpack[CallOptions]) -> Outcome:
        """Do as told."""
        outcome: Outcome = await self.execute(LARGE, key, command, **options)
        return outcome


@dataclass(frozen=True, slots=True)
class Running:
    """Two instances and their client."""

    handlers: LargeProbe
    services: list[NatsService]
    client: LargeClient

    @property
    def jetstream(self) -> JetStream:
        """JetStream of the client's connection."""
        return JetStream(self.client.transport)

    async def bytes(self) -> int:
        """Return how much is in the object store."""
        return (await self.jetstream.stream_info(STREAM)).bytes

    async def raw(self, headers: str, body: dict[str, Any], subject: str = SUBJECT) -> Delivery:
        """Send a request as another implementation would."""
        full = {"aggregateId": {"type": "thing", "key": "k"}, **body}
        data = json.dumps(full, separators=(",", ":")).encode()
        return await self.client.transport.request(
            subject, data, headers.encode(), monotonic() + LIMIT
        )


@asynccontextmanager
async def running(url: str, configure: Any = lambda builder: builder) -> AsyncIterator[Running]:
    """Run two instances."""
    handlers = LargeProbe()
    builder = configure(NatsServiceBuilder(handlers, url))
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(builder.build()) for _ in range(2)]
        client = await stack.enter_async_context(LargeClient.connect(url, verify="off"))
        yield Running(handlers, services, client.with_timeout(LIMIT))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with small messages."""
    with NatsServer(config=f"max_payload: {MAX_PAYLOAD}\n") as server:
        yield server.url


@pytest.fixture
async def these(url: str) -> AsyncIterator[Running]:
    """Two instances and their client."""
    async with running(url) as found:
        yield found
        await found.jetstream.purge(STREAM)


async def test_large_payloads_and_results_are_exchanged(these: Running) -> None:
    """Handlers and callers see nothing of it; the objects are removed afterwards."""
    for fill in ("x", "ä", '"\\'):
        action = fill * SIZE
        for client in (these.client, *map(these.client.on_instance, _ids(these))):
            assert await client.run("k", Run(action=action)) == Outcome(text=action)
    # The marks of removed objects are left for a second.
    await ask_until(lambda size: size <= 20_000, these.bytes)


def _ids(these: Running) -> list[str]:
    return [each.instance_id for each in these.services]


async def test_small_messages_do_not_use_the_store(these: Running) -> None:
    """What fits into a message travels in it."""
    before = (await these.jetstream.stream_info(STREAM)).last_sequence
    assert await these.client.run("k", Run(action="x" * 50_000)) == Outcome(text="x" * 50_000)
    assert (await these.jetstream.stream_info(STREAM)).last_sequence == before


@pytest.mark.parametrize(
    "error", [PartMissingError(details=MissingDetails(part="x")), NotReadyError()]
)
async def test_errors_are_those_of_small_messages(these: Running, error: ServiceError) -> None:
    """Declared errors, and violations of the schema, are as without the object store."""

    async def fail(*_: Any) -> Outcome:
        raise error

    these.handlers.actions["x" * SIZE] = fail
    with pytest.raises(type(error)):
        await these.client.run("k", Run(action="x" * SIZE))
    invalid = Run.model_construct(action="x" * SIZE, amount=-1.0)
    with pytest.raises(InvalidArgumentError) as refused:
        await these.client.run("k", invalid)
    assert "amount" in str(refused.value.details["violations"])


async def test_refused_caller_has_nothing_fetched(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payload is read only after authentication."""
    fetched: list[Reference] = []
    get = LargeObjects.get

    async def recording(self: LargeObjects, reference: Reference) -> bytes:
        fetched.append(reference)
        return await get(self, reference)

    monkeypatch.setattr(LargeObjects, "get", recording)
    async with running(url, lambda each: each.with_auth(validator=FakeValidator())) as these:
        with pytest.raises(UnauthenticatedError):
            await these.client.run("k", Run(action="x" * SIZE))
        assert fetched == []
        client = these.client.with_token(token())
        assert await client.run("k", Run(action="x" * SIZE)) == Outcome(text="x" * SIZE)
        assert len(fetched) == 2
        await these.jetstream.purge(STREAM)


async def test_payload_beyond_the_maximum(these: Running) -> None:
    """The client does not send it; a service does not fetch it."""
    with pytest.raises(MessageTooLargeError, match=r"has \d+ bytes, its contract allows 1000000"):
        await these.client.run("k", Run(action="x" * 1_000_000))
    headers = f"Wee-Large: {'0' * 26} 1000001 {'0' * 64}\r\n"
    answer = await these.raw(headers, {"command": None})
    assert json.loads(answer.payload)["error"]["code"] == "RESOURCE_EXHAUSTED"
    assert not these.handlers.seen


async def test_result_beyond_the_maximum(these: Running) -> None:
    """The caller learns that it is too large; the request was executed."""

    async def go(*_: Any) -> Outcome:
        return Outcome(text="x" * 1_000_000)

    these.handlers.actions["go"] = go
    with pytest.raises(ResourceExhaustedError, match="the result of run has 1000011 bytes"):
        await these.client.run("k", Run(action="go"))
    assert len(these.handlers.seen) == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("nonsense", "the header Wee-Large is malformed"),
        (f"{'0' * 26} 5 {'0' * 64}", "the large payload is missing, or not what was sent"),
    ],
)
async def test_invalid_reference(these: Running, header: str, message: str) -> None:
    """It is INVALID_ARGUMENT, and the handler does not run."""
    answer = await these.raw(f"Wee-Large: {header}\r\n", {"command": None})
    error = json.loads(answer.payload)["error"]
    assert (error["code"], error["message"]) == ("INVALID_ARGUMENT", message)
    assert not these.handlers.seen


async def test_reference_of_a_newer_contract(these: Running) -> None:
    """Where the contract has no `large`, null is not taken for the payload or the result."""
    header, null = f"Wee-Large: {'0' * 26} 5 {'0' * 64}\r\n", {"command": None}
    answer = await these.raw(header.lower(), null, SUBJECT.replace("run", "forget"))
    error = json.loads(answer.payload)["error"]
    assert error["code"] == "INVALID_ARGUMENT"
    assert "which this version of the contract does not allow" in error["message"]
    these.handlers.actions["large"] = _large
    with pytest.raises(InternalError, match="which this version of the contract does not expect"):
        await ProbeClient(these.client.transport).run("k", Run(action="large"))


async def _large(*_: Any) -> Outcome:
    return Outcome(text="x" * SIZE)


async def test_object_that_is_not_what_its_reference_says(these: Running) -> None:
    """Other bytes, more bytes and a payload beside it are refused; the right ones are taken."""
    objects = LargeObjects("probe", these.client.transport)
    payload = json.dumps({"action": "go"}).encode()

    async def outcome(body: dict[str, Any], **changes: Any) -> str:
        reference = await objects.put(payload, 1)
        text = str(reference._replace(**changes))
        answer = json.loads((await these.raw(f"Wee-Large: {text}\r\n", body)).payload)
        return str(answer["error"]["code"]) if "error" in answer else str(answer["result"]["text"])

    null: dict[str, Any] = {"command": None}
    assert await outcome(null, digest="0" * 64) == "INVALID_ARGUMENT"
    assert await outcome(null, size=len(payload) - 1) == "INVALID_ARGUMENT"
    assert await outcome(null, size=len(payload) + 1) == "INVALID_ARGUMENT"
    assert await outcome({"command": {"action": "go"}}) == "INVALID_ARGUMENT"
    assert await outcome(null) == "go"


async def test_names_of_objects_do_not_tell_others(these: Running) -> None:
    """Names are random: who knows some cannot let a service read or remove other objects."""
    objects = LargeObjects("probe", these.client.transport)
    names = [(await objects.put(b"1", 1)).name for _ in range(40)]
    assert all(re.fullmatch("[0-9A-Z]{26}", name) for name in names)
    assert all(len({name[place] for name in names}) > 4 for place in range(1, 26))


async def test_reference_of_another_operation(these: Running) -> None:
    """An operation that is not large ignores the header: its payload is null, and not valid."""
    headers = f"Wee-Large: {'0' * 26} 5 {'0' * 64}\r\n"
    answer = await these.raw(headers, {"command": None}, "probe.command.thing.forget")
    assert json.loads(answer.payload)["error"]["code"] == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ("nonsense", InternalError),
        (f"{'0' * 26} 5 {'0' * 64}", InternalError),
        (f"{'0' * 26} 1000001 {'0' * 64}", MessageTooLargeError),
    ],
)
async def test_result_that_cannot_be_fetched(
    url: str, header: str, error: type[ServiceError]
) -> None:
    """The caller gets an error of its own side, with what is wrong."""
    transport = NatsTransport(url)
    await transport.connect()
    body = b'{"success":true,"result":null,"duration":1.0}'
    lines = f"Wee-Large: {header}\r\n".encode()
    transport.subscribe(SUBJECT, lambda each: transport.publish(each.reply, body, lines))
    await transport.fence()
    objects = LargeObjects("probe", transport)
    await objects.open()
    await objects.open()
    with pytest.raises(error) as raised:
        await LargeClient(transport).run("k", Run(action="go"))
    assert not raised.value.remote
    await transport.close()


async def test_result_that_cannot_be_stored(
    these: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the bucket is full, the caller learns that the request was executed, the log why."""

    async def large(*_: Any) -> Outcome:
        return Outcome(text="x" * SIZE)

    these.handlers.actions["large"] = large
    config = (await these.jetstream.stream_info(STREAM)).config
    await these.jetstream.update_stream(replace(config, max_bytes=SIZE // 2))
    with pytest.raises(UnavailableError) as raised:
        await these.client.run("k", Run(action="large"))
    await these.jetstream.update_stream(config)
    assert raised.value.remote
    assert raised.value.message == (
        "the large result of run cannot be stored, but the request was executed"
    )
    assert "maximum bytes exceeded" in caplog.text


async def test_result_that_cannot_be_reached(
    these: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller learns that the request was executed, beside why the result does not arrive."""

    async def large(*_: Any) -> Outcome:
        return Outcome(text="x" * SIZE)

    async def missing(*_: Any) -> bytes:
        raise StreamMissingError("no bucket")

    these.handlers.actions["large"] = large
    monkeypatch.setattr(LargeObjects, "get", missing)
    with pytest.raises(StreamMissingError, match="the request was executed: no bucket"):
        await these.client.run("k", Run(action="large"))


async def test_interceptors_cannot_read_large_payloads(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They run before it is fetched; the log says so, and the caller gets INTERNAL."""

    async def audit(context: RequestContext, call_next: CallNext) -> Response:
        assert context.payload is not None
        return await call_next(context)

    async with running(url, lambda each: each.with_interceptor(audit)) as these:
        assert await these.client.run("k", Run(action="go")) == Outcome(text="go")
        with pytest.raises(InternalError):
            await these.client.run("k", Run(action="x" * SIZE))
        assert "is read after the interceptors" in caplog.text
        assert len(these.handlers.seen) == 1
        await these.jetstream.purge(STREAM)


async def test_without_jetstream_such_a_service_does_not_start(url: str) -> None:
    """A service with `large` does not start, and a call with a large payload is UNAVAILABLE."""
    transport = MemoryTransport(MemoryBroker(jetstream=False), max_payload=20_000)
    with pytest.raises(UnavailableError, match="JetStream is not enabled"):
        await NatsServiceBuilder(LargeProbe(), transport=transport).build().start()
    with pytest.raises(UnavailableError):
        await LargeClient(transport).run("k", Run(action="x" * 20_000))
    await transport.close()


async def test_bucket_that_somebody_deletes(these: Running) -> None:
    """The next large result creates it again, without a lost call."""
    these.handlers.actions["large"] = _large
    await these.jetstream.delete_stream(STREAM)
    assert (await these.client.run("k", Run(action="large"))).text == "x" * SIZE
    assert (await these.client.run("k", Run(action="y" * SIZE))).text == "y" * SIZE


async def test_bucket_that_somebody_deletes_before_a_payload(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller gets UNAVAILABLE, until the service has created the bucket again."""
    monkeypatch.setattr("weenats.transport.jetstream.upkeep._INTERVAL", 0.05)
    async with running(url) as these:
        await these.jetstream.delete_stream(STREAM)
        with pytest.raises(StreamMissingError):
            await these.client.run("k", Run(action="y" * SIZE))
        await answered(lambda: these.client.run("k", Run(action="y" * SIZE)))


async def test_bucket_that_cannot_be_created_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check of the service says so, until it is there."""
    for name in ("_INTERVAL", "_AGAIN"):
        monkeypatch.setattr(f"weenats.transport.jetstream.upkeep.{name}", 0.02)

    async def checks(these: Running) -> list[tuple[str, str | None]]:
        health = await these.client.check_health()
        assert health.data is not None
        return [(each.name, each.message) for each in health.data.checks]

    async def refuse(_: JetStream, __: str) -> None:
        raise JetStreamRefusedError("no space")

    async with running(url, lambda each: each.with_health()) as these:
        with monkeypatch.context() as patch:
            patch.setattr(JetStream, "stream_info", refuse)
            found = await ask_until(bool, lambda: checks(these))
            assert found[0][0] == "large payloads"
            assert "FAILED_PRECONDITION: no space" in (found[0][1] or "")
        await ask_until(lambda found: not found, lambda: checks(these))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_messages_per_subject": 1},
        {"max_messages": 10, "discard": "old"},
        {"allow_direct": False},
        {"retention": "interest"},
        {"other": {"sealed": True}},
    ],
)
async def test_bucket_that_somebody_edits(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    """A check of the service fails while the bucket does not keep objects; no service starts."""
    monkeypatch.setattr("weenats.transport.jetstream.upkeep._INTERVAL", 0.02)
    with NatsServer(config=f"max_payload: {MAX_PAYLOAD}\n") as server:
        async with (
            running(server.url, lambda each: each.with_health()) as these,
            asyncio.timeout(LIMIT),
        ):
            config = (await these.jetstream.stream_info(STREAM)).config
            other = {**config.other, **settings.pop("other", {})}
            await these.jetstream.update_stream(replace(config, **settings, other=other))
            health = await ask_until(lambda each: each.data.checks, these.client.check_health)
            assert "does not keep large payloads" in (health.data.checks[0].message or "")
        with pytest.raises(FailedPreconditionError, match="does not keep large payloads"):
            await NatsServiceBuilder(LargeProbe(), server.url).build().start()


async def test_large_payloads_in_memory(caplog: pytest.LogCaptureFixture) -> None:
    """They work on MemoryTransport, with messages as small as you like."""
    caplog.set_level(logging.INFO)
    transport = MemoryTransport(max_payload=20_000)
    async with NatsServiceBuilder(LargeProbe(), transport=transport).build():
        action = "x" * 100_000
        assert await LargeClient(transport).run("k", Run(action=action)) == Outcome(text=action)


@pytest.mark.parametrize("size", [1, SIZE])
async def test_large_payload_without_connection(own_nats_server: NatsServer, size: int) -> None:
    """The caller learns that there was no connection, as from any other operation."""
    async with running(own_nats_server.url) as these:
        own_nats_server.kill()
        await disconnected(these.client.transport)
        with pytest.raises(UnavailableError, match="there was no connection to NATS until"):
            await these.client.run("k", Run(action="x" * size), timeout=0.05)
        own_nats_server.start()


@pytest.mark.parametrize("method", ["put", "get"])
async def test_silent_object_store(
    these: Running, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The deadline of a call bounds storing its payload, and getting its result."""

    async def silent(*_: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    async def large(*_: Any) -> Outcome:
        # Only the side of the caller is silent: the service has stored its result before.
        monkeypatch.setattr(LargeObjects, "get", silent)
        return Outcome(text="x" * SIZE)

    these.handlers.actions["large"] = large
    action = "large"
    if method == "put":
        action = "x" * SIZE
        monkeypatch.setattr(LargeObjects, "put", silent)
    text = "could not be stored in time" if method == "put" else "did not arrive in time"
    timeout = 0.05
    while True:  # until the machine is quick enough to get so far
        with pytest.raises(DeadlineExceededError) as raised:
            await these.client.run("k", Run(action=action), timeout=timeout)
        if text in str(raised.value):
            break
        timeout *= 2
    assert timeout < LIMIT


async def test_object_of_empty_chunks(these: Running) -> None:
    """It is refused at its first chunk, however many there are."""
    transport, name = these.client.transport, new_message_id()
    for _ in range(2):
        transport.publish(f"$O.probe-large.C.{name}", b"")
    transport.publish(f"$O.probe-large.C.{name}", b"{}")
    await transport.fence()
    reference = f"Wee-Large: {name} 2 {sha256(b'{}').hexdigest()}\r\n"
    answer = await these.raw(reference, {"command": None})
    assert json.loads(answer.payload)["error"]["code"] == "INVALID_ARGUMENT"


async def test_cancelled_upload_leaves_nothing(
    these: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored of a payload is removed when its call is cancelled."""
    publish, entered = JetStream.publish, asyncio.Event()

    async def blocking(self: JetStream, *arguments: Any, **options: Any) -> Any:
        ack = await publish(self, *arguments, **options)
        entered.set()
        await asyncio.Event().wait()
        return ack

    monkeypatch.setattr(JetStream, "publish", blocking)
    calling = asyncio.create_task(these.client.run("k", Run(action="x" * SIZE)))
    await entered.wait()
    calling.cancel()
    await asyncio.wait([calling])
    await ask_until(lambda size: size <= 1000, these.bytes)


@pytest.mark.usefixtures("single_instance")
async def test_weenats_call_has_large_payloads(these: Running, url: str) -> None:
    """The command stores a payload and fetches a result like a client."""
    payload = json.dumps({"action": "x" * SIZE}).encode()
    arguments = Arguments("probe", "run", ("k", "-"), LIMIT, None)
    reply = await exchange(arguments, payload, [url])
    assert isinstance(reply, CommandSuccess)
    assert reply.result == {"text": "x" * SIZE}
    transport = these.client.transport
    reply = await whole_reply(transport, "probe", Delivery("a", "", b"{}"))
    assert reply.payload == b"{}"
    lines = f"NATS/1.0\r\nWee-Large: {'0' * 26} 5 {'0' * 64}\r\n\r\n".encode()
    with pytest.raises(InternalError, match="the large result is missing"):
        await whole_reply(transport, "probe", Delivery("a", "", b'{"result":null}', lines))
    assert await stored_payload(transport, "other", payload, 1) == (payload, {})


def test_explain_shows_the_maximum() -> None:
    """The contract set it."""
    policies = {each.operation: each for each in NatsServiceBuilder(LargeProbe()).explain()}
    settings = {each.name: each.value for each in policies["run"].settings}
    assert settings["large, bytes at most"] == 1_000_000
    assert "large" not in str(policies["forget"].settings)


@pytest.fixture(scope="module")
def roles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Permissions]:
    """The permissions of a service and a client with a large operation."""
    folder = tmp_path_factory.mktemp("probe")
    text = CONTRACT_TEXT.replace("once: 60s", "large: true, idempotent: true")
    (folder / "service.yaml").write_text(text)
    contract = read(folder)
    return {
        "service": of_service(contract, inbox_prefix=INBOX),
        "client": of_client(contract, inbox_prefix=INBOX),
    }


@pytest.mark.parametrize("role", ["service", "client"])
async def test_permissions_are_sufficient_and_necessary(
    roles: dict[str, Permissions], role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of them the service does not start, or the call fails."""
    permissions = roles[role]
    subjects = stored_subjects(permissions)
    assert len(subjects) == (5 if role == "service" else 3)
    config = f"{users_config(permissions)}max_payload: {MAX_PAYLOAD}\n"
    with NatsServer(config=config) as server:
        for user in ("all", *subjects):
            free = as_user("free")
            users = (service_as(user), free) if role == "service" else (free, service_as(user))
            builder = NatsServiceBuilder(LargeProbe(), server.url, connection=users[0])
            try:
                async with (
                    builder.build(),
                    LargeClient.connect(
                        server.url, connection=users[1], verify="off", timeout=LIMIT
                    ) as client,
                ):
                    await client.run("k", Run(action="x" * SIZE))
            except ServiceError:
                assert user != "all"
            else:
                assert user == "all"
            transport = NatsTransport(server.url, free)
            if user == "all":
                monkeypatch.setattr("weenats.large.objects._TIMEOUT", 0.1)
            with suppress(StreamMissingError):
                await JetStream(transport).delete_stream(STREAM)
            await transport.close()
