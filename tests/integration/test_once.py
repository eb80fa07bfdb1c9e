"""Commands with `once`: executed for the first message, whose reply repeats get."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import nats
import pytest

from testkit.contexts import make_context
from testkit.forks import Connection, fork
from testkit.once import BUCKET, ONCE, OnceClient, OnceProbe, Pair, two_instances
from testkit.probe import MissingDetails, NotReadyError, Outcome, PartMissingError, Probe, Run
from testkit.tokens import FakeValidator, good_claims, token
from testkit.waiting import LIMIT, answered, ask_until, cancel_call, eventually, until
from weenats import (
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NatsServiceBuilder,
    NatsTransport,
    RequestContext,
    ResourceExhaustedError,
    ServiceError,
    UnavailableError,
    new_message_id,
)
from weenats.idempotency import lease
from weenats.idempotency.entries import fingerprint
from weenats.testing import NatsServer
from weenats.transport.jetstream import (
    JetStream,
    KeyValue,
    StreamConfig,
    StreamFullError,
)

GO = Run(action="go")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server for the tests of this module."""
    with NatsServer() as server:
        yield server.url


@pytest.fixture
async def pair(url: str) -> AsyncIterator[Pair]:
    """Two instances, which count how often they execute."""
    async with two_instances(url, OnceProbe()) as running:
        yield running


def counted(handlers: Probe, error: BaseException | None = None) -> None:
    """Let `go` answer the number of its execution, or raise an error."""

    async def go(*_: Any) -> Outcome:
        if error is not None:
            raise error
        return Outcome(text=str(len(handlers.seen)))

    handlers.actions["go"] = go


async def outcome(call: Any) -> object:
    """Return the result of a call, or its error."""
    try:
        return await call
    except ServiceError as error:
        return error


async def test_repeat_gets_the_first_reply_on_each_instance(pair: Pair) -> None:
    """A command is executed once; each instance answers repeats with its result."""
    counted(pair.handlers)
    message_id = new_message_id()
    replies = [await client.run("k", GO, message_id=message_id) for client in pair.clients * 2]
    assert replies == [Outcome(text="1")] * 4
    assert len(pair.handlers.seen) == 1
    assert await pair.clients[0].run("k", GO) == Outcome(text="2")


async def test_invalid_requests_are_not_kept(pair: Pair, url: str) -> None:
    """A repeat with a valid payload and context is executed."""
    counted(pair.handlers)
    message_id = new_message_id()
    body = (
        '{"aggregateId":{"type":"thing","key":"k"},"command":%s,"metadata":'
        f'{{"messageId":"{message_id}","timestamp":"2026-03-01T09:30:00.125Z","context":%s}}}}'
    )
    raw = await nats.connect(url)
    for command, context, is_valid in (
        ('{"action":1}', "{}", False),
        ('{"action":"go"}', '{"x":NaN}', False),
        ('{"action":"go"}', "{}", True),
    ):
        reply = await raw.request(ONCE.subject, (body % (command, context)).encode(), LIMIT)
        assert json.loads(reply.data)["success"] == is_valid
    await raw.close()
    assert len(pair.handlers.seen) == 1


@pytest.mark.parametrize(
    "error",
    [
        PartMissingError(details=MissingDetails(part="x")),
        NotReadyError(),
        InvalidArgumentError("a"),
    ],
)
async def test_errors_that_the_handler_decided_are_kept(pair: Pair, error: ServiceError) -> None:
    """A repeat gets the same error with its details, and the handler does not run again."""
    counted(pair.handlers, error)
    message_id = new_message_id()
    first, second = [
        await outcome(client.run("k", GO, message_id=message_id)) for client in pair.clients
    ]
    assert isinstance(second, type(error))
    assert isinstance(first, type(error))
    assert (first.message, first.details) == (second.message, second.details)
    assert len(pair.handlers.seen) == 1


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("later"),
        ResourceExhaustedError("later"),
        InternalError(),
        RuntimeError("bug"),
        DeadlineExceededError(),
    ],
)
async def test_command_that_may_work_later_runs_again(pair: Pair, error: Exception) -> None:
    """After a temporary error the same message id is executed again, on any instance."""
    counted(pair.handlers, error)
    message_id = new_message_id()
    assert isinstance(await outcome(pair.clients[0].run("k", GO, message_id=message_id)), Exception)
    counted(pair.handlers)
    assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="2")
    assert await pair.clients[0].run("k", GO, message_id=message_id) == Outcome(text="2")


async def test_repeat_waits_while_the_first_runs(pair: Pair, gate: Any) -> None:
    """It gets the reply of the first as soon as that has ended."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    calls = [
        asyncio.create_task(client.run("k", GO, message_id=message_id, timeout=LIMIT))
        for client in pair.clients * 2
    ]
    await gate.entered.acquire()
    gate.opened.set()
    assert await asyncio.gather(*calls) == [Outcome(text="k")] * 4
    assert len(pair.handlers.seen) == 1


async def test_repeat_waits_no_longer_than_its_deadline(pair: Pair, gate: Any) -> None:
    """It fails with DEADLINE_EXCEEDED; the first goes on."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id, timeout=LIMIT))
    await gate.entered.acquire()
    with pytest.raises(DeadlineExceededError):
        await pair.clients[1].run("k", GO, message_id=message_id, timeout=0.05)
    gate.opened.set()
    assert await first == Outcome(text="k")


async def test_cancelled_command_runs_again(pair: Pair, gate: Any) -> None:
    """A handler that was cancelled with its caller leaves nothing behind."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await gate.entered.acquire()
    first.cancel()
    await until(lambda: gate.cancelled)
    gate.opened.set()
    assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="k")
    assert len(pair.handlers.seen) == 2


async def test_reply_is_kept_when_the_caller_gave_up(pair: Pair) -> None:
    """A handler that is shielded from its deadline ends, and the repeat gets its reply."""
    opened, entered = asyncio.Event(), asyncio.Event()

    async def go(key: str, command: Run, context: RequestContext) -> Outcome:
        with context.shield_from_deadline():
            entered.set()
            await opened.wait()
        return Outcome(text=str(len(pair.handlers.seen)))

    pair.handlers.actions["go"] = go
    message_id = new_message_id()
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await entered.wait()
    first.cancel()
    repeat = asyncio.create_task(pair.clients[1].run("k", GO, message_id=message_id))
    opened.set()
    assert await repeat == Outcome(text="1")


async def test_other_payload_with_the_same_id_is_refused(pair: Pair) -> None:
    """It is FAILED_PRECONDITION with a reason, and does not show the first reply."""
    message_id = new_message_id()
    await pair.clients[0].run("k", GO, message_id=message_id)
    with pytest.raises(
        FailedPreconditionError, match="used before, with another payload"
    ) as raised:
        await pair.clients[1].run("k", Run(action="stop"), message_id=message_id)
    assert raised.value.details == {"reason": "MESSAGE_ID_REUSED"}
    with pytest.raises(FailedPreconditionError):
        await pair.clients[1].run("k", Run(action="go", amount=1.5), message_id=message_id)


async def test_order_of_members_does_not_matter(url: str, pair: Pair) -> None:
    """A repeat whose JSON has another order is the same payload."""
    counted(pair.handlers)
    metadata = {"messageId": new_message_id(), "timestamp": "2026-03-01T09:30:00.125Z"}
    payloads = [{"action": "go", "amount": 0.1, "retryCount": 3}] * 2
    payloads[1] = dict(reversed(payloads[1].items()))
    replies = []
    for payload in payloads:
        body = {"aggregateId": {"type": "thing", "key": "k"}, "command": payload}
        answer = await pair.clients[0].transport.request(
            "probe.command.thing.run",
            json.dumps({**body, "metadata": metadata}).encode(),
            b"",
            asyncio.get_running_loop().time() + LIMIT,
        )
        replies.append(json.loads(answer.payload)["result"])
    assert replies == [{"text": "1"}] * 2


@pytest.mark.parametrize("number", ["1.5e-999999999999999999999", "-0.0", "1.50", "9" * 4000])
def test_fingerprint_of_odd_numbers(number: str) -> None:
    """Any number that JSON can have is a part of the fingerprint."""

    def of(text: str) -> str:
        envelope = f'{{"command":{{"amount":{text}}}}}'.encode()
        job = SimpleNamespace(envelope=envelope)
        return fingerprint(make_context(operation=ONCE, work=job))

    assert of(number) == of(number) != of("1.5")


async def test_other_key_and_other_operation_are_other_commands(pair: Pair) -> None:
    """The same message id with another key is executed; an operation without `once` always is."""
    counted(pair.handlers)
    message_id = new_message_id()
    for key in ("a", "b"):
        await pair.clients[0].run(key, GO, message_id=message_id)
    assert len(pair.handlers.seen) == 2


async def test_invalid_payload_is_not_kept(pair: Pair) -> None:
    """A payload that breaks the contract is refused before the store of replies is asked."""
    counted(pair.handlers)
    message_id = new_message_id()
    invalid = Run.model_construct(action="")
    with pytest.raises(InvalidArgumentError):
        await pair.clients[0].run("k", invalid, message_id=message_id)
    assert await pair.clients[0].run("k", GO, message_id=message_id) == Outcome(text="1")


async def test_other_caller_with_the_same_id(url: str) -> None:
    """Each caller has replies of its own; without a valid token there is none."""
    handlers = OnceProbe()
    counted(handlers)
    message_id = new_message_id()

    def authenticated(builder: NatsServiceBuilder) -> NatsServiceBuilder:
        return builder.with_auth(validator=FakeValidator())

    async with two_instances(url, handlers, authenticated) as pair:
        tokens = [token(good_claims(sub=name)) for name in ("ann", "bob")]
        replies = [
            (await client.with_token(each).run("k", GO, message_id=message_id)).text
            for client in pair.clients
            for each in tokens
        ]
        assert replies == ["1", "2", "1", "2"]
        with pytest.raises(ServiceError, match="UNAUTHENTICATED"):
            await pair.clients[0].run("k", GO, message_id=message_id)


def serve_and_hang(pipe: Connection, url: str) -> None:
    """Serve, and hang in the handler."""

    async def hang(*_: Any) -> Outcome:
        pipe.send("entered")
        await asyncio.Event().wait()
        raise AssertionError

    async def serve() -> None:
        async with NatsServiceBuilder(OnceProbe(go=hang), url).build() as service:
            pipe.send(service.instance_id)
            await service.wait_until_stopped()

    asyncio.run(serve())


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease lasts a second, the shortest that the server has."""
    monkeypatch.setattr("weenats.idempotency.lease.LEASE", 1.0)


def serve_with_short_lease(pipe: Connection, url: str) -> None:
    """Serve in another process, with a short lease."""
    lease.LEASE = 1.0
    serve_and_hang(pipe, url)


@pytest.mark.usefixtures("short_lease")
async def test_instance_that_is_killed_loses_its_lease(url: str) -> None:
    """A repeat on another instance waits for the end of the lease, and executes the command."""
    message_id = new_message_id()
    with fork(serve_with_short_lease, url) as other:
        instance = await other.receive()
        async with OnceClient.connect(url, verify="off") as client:
            first = asyncio.create_task(
                client.on_instance(instance).run("k", GO, message_id=message_id, timeout=LIMIT)
            )
            assert await other.receive() == "entered"
            other.signal(signal.SIGKILL)
            await other.wait()
            first.cancel()
            handlers = OnceProbe()
            counted(handlers)
            async with two_instances(url, handlers) as pair:
                again = pair.clients[0].run("k", GO, message_id=message_id, timeout=LIMIT)
                assert await again == Outcome(text="1")


@pytest.mark.timing  # an instance that stalls for a second loses its lease
@pytest.mark.usefixtures("short_lease")
async def test_lease_is_renewed_while_the_handler_runs(pair: Pair, gate: Any) -> None:
    """A command that takes longer than its lease is executed once."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    calls = [
        asyncio.create_task(client.run("k", GO, message_id=message_id, timeout=LIMIT))
        for client in pair.clients
    ]
    await gate.entered.acquire()
    jetstream = JetStream(pair.clients[0].transport)
    before = (await jetstream.stream_info(BUCKET)).last_sequence

    async def renewed() -> bool:
        return (await jetstream.stream_info(BUCKET)).last_sequence >= before + 4

    await ask_until(bool, renewed)
    gate.opened.set()
    assert await asyncio.gather(*calls) == [Outcome(text="k")] * 2
    assert len(pair.handlers.seen) == 1


async def test_lease_that_another_instance_took(
    pair: Pair, gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The reply of the instance that lost its lease is not kept, and the log says so."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await gate.entered.acquire()
    jetstream = JetStream(pair.clients[0].transport)
    entry = await jetstream.last(BUCKET, "$KV.probe-once.>")
    await jetstream.publish(entry.subject, entry.payload.replace(b"running", b"free"))
    counted(pair.handlers)
    assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="2")
    gate.opened.set()
    assert await first == Outcome(text="k")
    assert "the reply of probe.command.thing.run could not be kept" in caplog.text
    assert await pair.clients[0].run("k", GO, message_id=message_id) == Outcome(text="2")


@pytest.mark.usefixtures("short_lease")
async def test_renewal_of_a_lease_that_another_instance_took(
    pair: Pair, gate: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The instance notices it when it renews, and renews no more."""
    pair.handlers.actions["go"] = gate
    first = asyncio.create_task(pair.clients[0].run("k", GO, timeout=LIMIT))
    await gate.entered.acquire()
    jetstream = JetStream(pair.clients[0].transport)
    entry = await jetstream.last(BUCKET, "$KV.probe-once.>")
    await jetstream.publish(entry.subject, entry.payload)
    await eventually(lambda: "ran longer than its lease" in caplog.text)
    gate.opened.set()
    assert await first == Outcome(text="k")


@pytest.mark.parametrize("state", [b'"running"', b'"done"'])
async def test_write_whose_acknowledgement_is_lost(
    pair: Pair,
    gate: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    state: bytes,
) -> None:
    """The connection broke after a renewal, or after the reply: the entry is still its own."""
    monkeypatch.setattr("weenats.idempotency.lease._RENEWALS", 500)
    monkeypatch.setattr("weenats.idempotency.lease._PAUSE", 0.01)
    pair.handlers.actions["go"] = gate
    message_id, update, kept = new_message_id(), KeyValue.update, asyncio.Event()
    lost: list[bytes] = []

    async def losing(self: KeyValue, key: str, value: bytes, revision: int, **options: Any) -> int:
        found = await update(self, key, value, revision, **options)
        if revision and state in value and not lost:
            lost.append(value)
            raise UnavailableError("the connection broke")
        if b'"done"' in value:
            kept.set()
        return found

    monkeypatch.setattr(KeyValue, "update", losing)
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await gate.entered.acquire()
    if state == b'"running"':
        await until(lambda: lost)
    gate.opened.set()
    assert await first == Outcome(text="k")
    await asyncio.wait_for(kept.wait(), LIMIT)
    assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="k")
    assert len(pair.handlers.seen) == 1
    assert "weenats.idempotency" not in {each.name for each in caplog.records}


async def test_claim_whose_acknowledgement_is_lost(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was executed, and a repeat on another instance does not wait for the lease."""
    monkeypatch.setattr(lease, "LEASE", 3600.0)
    counted(pair.handlers)
    update, lost = KeyValue.update, list[bytes]()

    async def losing(self: KeyValue, key: str, value: bytes, revision: int, **options: Any) -> int:
        found = await update(self, key, value, revision, **options)
        if not lost:
            lost.append(value)
            raise UnavailableError("the connection broke")
        return found

    monkeypatch.setattr(KeyValue, "update", losing)
    message_id = new_message_id()
    with pytest.raises(UnavailableError, match="the command was not executed"):
        await pair.clients[0].run("k", GO, message_id=message_id)
    again = pair.clients[1].run("k", GO, message_id=message_id, timeout=LIMIT)
    assert await again == Outcome(text="1")


async def test_lease_that_expired_without_a_repeat(pair: Pair, gate: Any) -> None:
    """The reply is kept all the same."""
    pair.handlers.actions["go"] = gate
    message_id = new_message_id()
    first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await gate.entered.acquire()
    await JetStream(pair.clients[0].transport).purge(BUCKET)
    gate.opened.set()
    assert await first == Outcome(text="k")
    assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="k")
    assert len(pair.handlers.seen) == 1


async def test_bucket_that_is_deleted(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is executed without it; it is created again, and commands work again."""
    counted(pair.handlers)
    await JetStream(pair.clients[0].transport).delete_stream(BUCKET)
    with pytest.raises(UnavailableError, match="the command was not executed"):
        await pair.clients[0].run("k", GO)
    assert not pair.handlers.seen
    assert "probe.command.thing.run was not executed" in caplog.text

    async def works() -> bool:
        return isinstance(await outcome(pair.clients[1].run("k", GO)), Outcome)

    await ask_until(bool, works)


async def test_jetstream_that_goes_away() -> None:
    """Commands are refused with UNAVAILABLE while it does not answer, and work again afterwards."""
    handlers = OnceProbe()
    with NatsServer() as server:
        async with two_instances(server.url, handlers) as pair:
            transport = pair.clients[0].transport
            await pair.clients[0].run("k", GO)
            info = await JetStream(transport).stream_info(BUCKET)
            # Sealed: it is there, and stores nothing.
            sealed = replace(info.config, other={**info.config.other, "sealed": True})
            await JetStream(transport).update_stream(sealed)
            with pytest.raises(UnavailableError, match="the command was not executed"):
                await pair.clients[0].run("k", GO)
            await JetStream(transport).delete_stream(BUCKET)
            await outcome(pair.clients[0].run("k", GO))
    assert len(handlers.seen) == 1


async def test_reply_that_is_kept_late(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first caller gets its reply although it cannot be kept yet; that goes on behind it."""
    monkeypatch.setattr("weenats.idempotency.lease._PAUSE", 0.01)
    update = KeyValue.update
    failures = iter([StreamFullError(), StreamFullError()])

    async def failing(self: KeyValue, key: str, value: bytes, *rest: Any, **options: Any) -> int:
        if b'"done"' in value and (error := next(failures, None)) is not None:
            raise error
        return await update(self, key, value, *rest, **options)

    monkeypatch.setattr(KeyValue, "update", failing)
    counted(pair.handlers)
    message_id = new_message_id()
    replies = [await client.run("k", GO, message_id=message_id) for client in pair.clients]
    assert replies == [Outcome(text="1")] * 2
    assert next(failures, None) is None


async def test_reply_that_is_too_large_to_be_kept(pair: Pair) -> None:
    """The caller and its repeats learn that it was executed, and it is not executed again."""
    size = pair.clients[0].transport.max_payload - 400
    counted(pair.handlers)

    async def go(*_: Any) -> Outcome:
        return Outcome(text="x" * size)

    pair.handlers.actions["go"] = go
    message_id = new_message_id()
    errors = [await outcome(client.run("k", GO, message_id=message_id)) for client in pair.clients]
    assert all(isinstance(each, ResourceExhaustedError) for each in errors)
    assert all("it was executed" in str(each) for each in errors)
    assert len(pair.handlers.seen) == 1


async def test_result_that_breaks_the_contract_is_not_kept(pair: Pair) -> None:
    """It is INTERNAL, and the command runs again when it is repeated."""

    async def go(*_: Any) -> object:
        return "nothing"

    pair.handlers.actions["go"] = go
    message_id = new_message_id()
    for count in (1, 2):
        with pytest.raises(InternalError):
            await pair.clients[0].run("k", GO, message_id=message_id)
        assert len(pair.handlers.seen) == count


async def test_entry_that_is_not_valid(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged entry refuses the command; a reply of another version is INTERNAL."""
    message_id = new_message_id()
    await pair.clients[0].run("k", GO, message_id=message_id)
    jetstream = JetStream(pair.clients[0].transport)
    entry = await jetstream.last(BUCKET, "$KV.probe-once.>")
    await jetstream.publish(entry.subject, entry.payload.replace(b'"text"', b'"other"'))
    with pytest.raises(InternalError):
        await pair.clients[1].run("k", GO, message_id=message_id)
    assert "a kept reply of probe.command.thing.run is not valid any more" in caplog.text
    for invalid in (b"[]", entry.payload.partition(b',"reply":')[0] + b"}"):
        await jetstream.publish(entry.subject, invalid)
        with pytest.raises(UnavailableError):
            await pair.clients[1].run("k", GO, message_id=message_id)
    assert len(pair.handlers.seen) == 1


@pytest.mark.parametrize(
    ("value", "ttl"),
    [
        (b"[]", 60),
        (b'{"state":"done"', 60),
        (b'{"state":"running","instance":"gone","fingerprint":"x"}', 10),
        (b'{"state":"done","fingerprint":"x","reply":{}}', 60),
    ],
)
async def test_entry_without_expiry_blocks_its_id_no_longer_than_others(
    pair: Pair, caplog: pytest.LogCaptureFixture, value: bytes, ttl: int
) -> None:
    """It gets the time to live that it should have, whoever wrote it and whatever it holds."""
    message_id = new_message_id()
    await pair.clients[0].run("k", GO, message_id=message_id)
    jetstream = JetStream(pair.clients[0].transport)
    subject = (await jetstream.last(BUCKET, "$KV.probe-once.>")).subject
    await jetstream.publish(subject, value)
    with pytest.raises(ServiceError):
        await pair.clients[1].run("k", GO, message_id=message_id)
    entry = await jetstream.last(BUCKET, subject)
    assert (entry.payload, entry.headers["Nats-TTL"]) == (value, f"{ttl * 1000}ms")
    assert len(pair.handlers.seen) == 1


async def test_operator_removes_an_invalid_entry(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says how; the marker of the deletion, which does not expire, is like no entry."""
    message_id = new_message_id()
    await pair.clients[0].run("k", GO, message_id=message_id)
    jetstream = JetStream(pair.clients[0].transport)
    subject = (await jetstream.last(BUCKET, "$KV.probe-once.>")).subject
    await jetstream.publish(subject, b"[]")
    with pytest.raises(UnavailableError):
        await pair.clients[1].run("k", GO, message_id=message_id)
    assert f"nats kv del probe-once {subject.rpartition('.')[2]}" in caplog.text
    await jetstream.publish(subject, b"", b"KV-Operation: DEL\r\n")
    for client in pair.clients:
        await client.run("k", GO, message_id=message_id)
    assert len(pair.handlers.seen) == 2


async def test_stop_waits_for_what_is_kept(url: str) -> None:
    """A command that is finished while the service drains has its reply kept."""
    handlers = OnceProbe()
    entered = asyncio.Event()

    async def go(*_: Any) -> Outcome:
        entered.set()
        await asyncio.sleep(0)
        return Outcome(text="late")

    handlers.actions["go"] = go
    message_id = new_message_id()
    async with two_instances(url, handlers) as pair:
        first = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
        await entered.wait()
        await pair.services[0].stop()
        assert await first == Outcome(text="late")
        assert await pair.clients[1].run("k", GO, message_id=message_id) == Outcome(text="late")
    assert len(handlers.seen) == 1


async def test_replayed_requests_are_counted(pair: Pair) -> None:
    """STATS has the number of requests that were answered with a kept reply."""
    message_id = new_message_id()
    for _ in range(3):
        await pair.clients[0].run("k", GO, message_id=message_id)
    stats = await pair.clients[0].get_service_stats(pair.services[0].instance_id)
    data = {each.name: each.data for each in stats.endpoints}
    assert data["run"] == {"once": {"replayed": 2}}
    assert "once" not in str(data["forget"])


async def test_service_does_not_start_without_jetstream() -> None:
    """It fails with UNAVAILABLE, which says what is missing."""
    config = "accounts: {A: {users: [{user: a, password: a}]}}\nno_auth_user: a\n"
    with (
        NatsServer(config=config) as server,
        pytest.raises(UnavailableError, match="JetStream not enabled for account"),
    ):
        await NatsServiceBuilder(OnceProbe(), server.url).build().start()


async def test_service_does_not_start_with_an_unfit_bucket() -> None:
    """A stream of the same name that cannot keep replies is refused, and not changed."""
    with NatsServer() as server:
        transport = NatsTransport(server.url)
        await JetStream(transport).create_stream(StreamConfig(BUCKET, ("$KV.probe-once.>",)))
        with pytest.raises(FailedPreconditionError, match="needs allow_msg_ttl"):
            await NatsServiceBuilder(OnceProbe(), server.url).build().start()
        await transport.close()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_age": 59.0, "duplicate_window": 1.0},
        {"max_bytes": 10_000_000, "discard": "old"},
        {"other": {"no_ack": True}},
    ],
)
async def test_service_does_not_start_with_a_bucket_that_forgets(settings: Any) -> None:
    """Where replies go before `once` says so, commands could be executed twice."""
    with NatsServer() as server:
        transport = NatsTransport(server.url)
        async with NatsServiceBuilder(OnceProbe(), server.url).build():
            pass
        jetstream = JetStream(transport)
        config = (await jetstream.stream_info(BUCKET)).config
        other = {**config.other, **settings.pop("other", {})}
        await jetstream.update_stream(replace(config, **settings, other=other))
        with pytest.raises(FailedPreconditionError, match="would not keep replies as long"):
            await NatsServiceBuilder(OnceProbe(), server.url).build().start()
        await jetstream.update_stream(replace(config, max_age=60.0, duplicate_window=1.0))
        async with NatsServiceBuilder(OnceProbe(), server.url).build():
            pass
        await transport.close()


async def test_bucket_that_somebody_edits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of the service fails while replies would be forgotten, until it is edited back."""
    for name in ("_INTERVAL", "_AGAIN"):
        monkeypatch.setattr(f"weenats.transport.jetstream.upkeep.{name}", 0.02)
    with NatsServer() as server:
        async with (
            two_instances(server.url, OnceProbe(), lambda each: each.with_health()) as pair,
            asyncio.timeout(LIMIT),
        ):

            async def problem() -> str | None:
                health = await pair.clients[0].check_health()
                assert health.data is not None
                checks = health.data.checks
                return checks[0].message if checks else None

            jetstream = JetStream(pair.clients[0].transport)
            config = (await jetstream.stream_info(BUCKET)).config
            await jetstream.update_stream(replace(config, max_age=1.0, duplicate_window=1.0))
            found = await ask_until(bool, problem)
            assert found is not None
            assert "would not keep replies as long as `once` says" in found
            await jetstream.update_stream(config)
            await ask_until(lambda message: message is None, problem)
            await jetstream.delete_stream(BUCKET)
            # Created again, without a command that needs it.
            await answered(lambda: jetstream.stream_info(BUCKET))


async def test_explain_shows_how_long_replies_are_kept() -> None:
    """The contract set it; clients may retry such a command."""
    policies = {each.operation: each for each in NatsServiceBuilder(OnceProbe()).explain()}
    settings = {each.name: (each.value, each.source) for each in policies["run"].settings}
    assert settings["once"] == (60, "contract")
    assert "once" not in {each.name for each in policies["forget"].settings}


async def test_errors_of_connections_are_not_kept(pair: Pair) -> None:
    """A denied subject or a wrong setting of the service is mended, and the command runs then."""
    runs: list[str] = []

    async def go(key: str, *_: Any) -> Outcome:
        runs.append(key)
        if len(runs) == 1:
            pair.handlers.transport.publish("not a subject", b"")
        return Outcome(text=key)

    pair.handlers.actions["go"] = go
    message_id = new_message_id()
    with pytest.raises(InternalError):
        await pair.clients[0].run("k", GO, message_id=message_id)
    assert (await pair.clients[1].run("k", GO, message_id=message_id)).text == "k"


async def test_claim_of_a_cancelled_call_is_released(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller that gives up while its command is claimed may repeat it at once."""
    monkeypatch.setattr(lease, "LEASE", 3600.0)
    counted(pair.handlers)
    update, claimed, go_on = KeyValue.update, asyncio.Event(), asyncio.Event()

    async def slow(self: KeyValue, *arguments: Any, **options: Any) -> int:
        revision = await update(self, *arguments, **options)
        if not claimed.is_set():
            claimed.set()
            await go_on.wait()
        return revision

    monkeypatch.setattr(KeyValue, "update", slow)
    message_id = new_message_id()
    call = asyncio.create_task(pair.clients[0].run("k", GO, message_id=message_id))
    await claimed.wait()
    await cancel_call(call)
    admission = pair.services[0]._assembly.admission  # type: ignore[union-attr]
    await eventually(lambda: not admission.running)
    go_on.set()
    assert await pair.clients[1].run("k", GO, message_id=message_id, timeout=LIMIT) == Outcome(
        text="1"
    )


@pytest.mark.parametrize(
    "error",
    [
        FailedPreconditionError("x", details={"part": object()}),
        FailedPreconditionError("x", details={"part": float("nan")}),
        FailedPreconditionError("\ud800"),
        PartMissingError(details="not what is declared"),  # type: ignore[arg-type]
    ],
    ids=["object", "NaN", "surrogate", "declared"],
)
async def test_error_that_cannot_be_sent_releases_its_command(
    pair: Pair, error: ServiceError
) -> None:
    """It is INTERNAL, and the command runs again when it is repeated."""
    counted(pair.handlers, error)
    message_id = new_message_id()
    for client in pair.clients:
        failure = await outcome(client.run("k", GO, message_id=message_id, timeout=LIMIT / 2))
        assert isinstance(failure, InternalError)
    assert len(pair.handlers.seen) == 2


async def test_error_that_is_too_large_to_be_kept(pair: Pair) -> None:
    """The caller and its repeats learn that it was executed, and it is not executed again."""
    large = "x" * pair.clients[0].transport.max_payload
    counted(pair.handlers, FailedPreconditionError(large))
    message_id = new_message_id()
    errors = [
        await outcome(client.run("k", GO, message_id=message_id, timeout=LIMIT / 2))
        for client in pair.clients
    ]
    assert all(isinstance(each, ResourceExhaustedError) for each in errors)
    assert all("it was executed" in str(each) for each in errors)
    assert len(pair.handlers.seen) == 1
