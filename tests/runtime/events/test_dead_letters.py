"""Dead letters: events that fail always, hang, end the process, or cannot be decoded."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from testkit.parcels import PARCELS_EVENTS_STREAM, Delivered, ParcelsClient, Recorder
from testkit.probe import OddError
from testkit.waiting import ask_until, eventually, until
from weenats import FailedPreconditionError, NatsTransport, NotFoundError, PermissionDeniedError
from weenats.events import ReceivedEvent, consume
from weenats.protocol.partitions import partition_of
from weenats.streams.dead_letters import DeadLetter, DeadLetters
from weenats.transport.jetstream import JetStream, StreamMissingError

STREAM = PARCELS_EVENTS_STREAM


@pytest.fixture
def letters(transport: NatsTransport) -> DeadLetters:
    """The dead letters of parcels."""
    return DeadLetters(transport, STREAM)


async def buried(letters: DeadLetters, number: int = 1) -> list[DeadLetter]:
    """Wait until there are dead letters."""

    async def found() -> list[DeadLetter]:
        return [each async for each in letters.list()]

    return await ask_until(lambda letters: len(letters) >= number, found)


async def deliver(parcels: ParcelsClient, *counts: int, **options: Any) -> None:
    """Publish events of one key."""
    for count in counts:
        await parcels.publish_delivered("p-1", Delivered(count=count), **options)


async def fail(_: object) -> None:
    """Handle no event."""
    raise ValueError


async def test_what_always_fails_is_given_up(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters, caplog: Any
) -> None:
    """After max_deliver attempts it is a dead letter with all that is known, and others go on."""
    await deliver(parcels, 13, headers={"Trace": "1"})
    await deliver(parcels, 14)

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if event.data.count == 13:
            raise PermissionDeniedError("secret-value")

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", max_deliver=3, backoff=[0.01]):
        await until(lambda: recorder.seen)
        [letter] = await buried(letters)
    assert recorder.seen == [("p-1", 14)]
    assert recorder.attempts == [1, 2, 3, 1]
    subject = f"parcels.stream.{partition_of('p-1', 4)}.parcel.delivered"
    assert (letter.consumer, letter.subject, letter.event_sequence) == ("billing", subject, 1)
    assert (letter.reason, letter.error) == ("PERMISSION_DENIED", "PermissionDeniedError")
    assert letter.attempts == 3
    assert letter.payload == (await JetStream(transport).get(STREAM.name, 1)).payload
    assert b"Trace: 1\r\n" in letter.headers
    assert b"Nats-" not in letter.headers
    stored = await JetStream(transport).get(STREAM.dead_letters, letter.sequence)
    assert b"secret" not in stored.headers.block
    assert "event 1 of parcels-events is now a dead letter of billing" in caplog.text


async def test_an_error_that_breaks_the_rules_of_errors(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """An error whose code is no Code is repeated as any other, and given up with INTERNAL."""
    await deliver(parcels, 1)

    async def act(_: object) -> None:
        raise OddError

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", max_deliver=2, backoff=[0.01]):
        [letter] = await buried(letters)
    assert recorder.attempts == [1, 2]
    assert (letter.reason, letter.error) == ("INTERNAL", "OddError")


async def test_what_fails_sometimes_is_repeated(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """An event that succeeds in the last attempt is no dead letter."""
    await deliver(parcels, 1)

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if event.attempt < 3:
            raise ValueError

    recorder = Recorder(act)
    async with await consume(transport, recorder, "billing", max_deliver=3, backoff=[0.01]):
        await until(lambda: recorder.seen)
    assert recorder.attempts == [1, 2, 3]
    assert [each async for each in letters.list()] == []


async def test_a_handler_that_hangs_is_cancelled(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """After handler_timeout the attempt has failed."""
    await deliver(parcels, 1)
    cancelled = 0

    async def hang(_: object) -> None:
        nonlocal cancelled
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise

    options: Any = {"handler_timeout": 0.05, "max_deliver": 2, "backoff": [0.01]}
    async with await consume(transport, Recorder(hang), "billing", **options):
        [letter] = await buried(letters)
    assert (letter.reason, letter.error, letter.attempts) == (
        "DEADLINE_EXCEEDED",
        "TimeoutError",
        2,
    )
    assert cancelled == 2


async def test_a_handler_that_ends_when_it_is_cancelled_has_succeeded(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """What it did within handler_timeout counts; later events are not cancelled for it."""
    await deliver(parcels, 1, 2)

    async def hang(event: ReceivedEvent[Delivered]) -> None:
        if event.data.count == 1:
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.sleep(0)  # it is not cancelled any more

    options: Any = {"handler_timeout": 0.05, "max_deliver": 1}
    recorder = Recorder(hang)
    async with await consume(transport, recorder, "billing", **options):
        await until(lambda: len(recorder.seen) == 2)
    assert recorder.attempts == [1, 1]
    assert [each async for each in letters.list()] == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError, "INTERNAL"),
        (asyncio.CancelledError, "INTERNAL"),
        (OSError, "INTERNAL"),
        (BaseException, "INTERNAL"),
    ],
)
async def test_errors_of_handlers_have_a_reason(
    parcels: ParcelsClient,
    transport: NatsTransport,
    letters: DeadLetters,
    error: type[BaseException],
    reason: str,
) -> None:
    """Any exception of a handler is a failure of its event, also a cancellation of its own."""
    await deliver(parcels, 1)

    async def act(_: object) -> None:
        raise error

    async with await consume(transport, Recorder(act), "billing", max_deliver=1):
        [letter] = await buried(letters)
    assert (letter.reason, letter.error) == (reason, error.__name__)


async def test_an_event_that_ends_processes_is_given_up(
    nats_url: str,
    parcels: ParcelsClient,
    transport: NatsTransport,
    letters: DeadLetters,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When twice max_deliver instances died with an event, the next one does not try it."""
    await deliver(parcels, 1)
    options: Any = {"ack_wait": 0.1, "max_deliver": 1}
    for _ in range(2):
        begun = asyncio.Event()

        async def die(_: object, begun: asyncio.Event = begun) -> None:
            begun.set()
            await asyncio.Event().wait()

        dying = NatsTransport(nats_url)
        lost = await consume(dying, Recorder(die), "billing", **options)
        # While a busy machine sends no heartbeat, the server delivers it again.
        await until(lambda begun=begun: begun.is_set() or "is now a dead letter" in caplog.text)
        for task in [lost._work._heartbeats, *lost._work._pulling]:
            task.cancel()
        await dying.close()
        lost._work.abort()
    recorder = Recorder()
    async with await consume(transport, recorder, "billing", **options):
        [letter] = await buried(letters)
    assert (letter.reason, letter.error) == ("ABORTED", "ProcessDied")
    assert letter.attempts >= 3
    assert recorder.attempts == []


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"{}", b'{"data": {"count": -1}}', b"null", b"[1]"]
)
async def test_what_cannot_be_decoded_is_given_up_at_once(
    transport: NatsTransport, letters: DeadLetters, payload: bytes
) -> None:
    """It is a dead letter after one delivery, unchanged."""
    await JetStream(transport).publish("parcels.stream.2.parcel.delivered", payload)
    async with await consume(transport, Recorder(), "billing"):
        [letter] = await buried(letters)
    assert (letter.reason, letter.attempts, letter.payload) == ("INVALID_ARGUMENT", 1, payload)


async def test_an_event_without_a_valid_name_is_given_up(
    transport: NatsTransport, letters: DeadLetters
) -> None:
    """A retry without the subject of its event is no event."""
    await JetStream(transport).publish("parcels.retry.parcels-events.0.billing", b"{}")
    async with await consume(transport, Recorder(), "billing"):
        [letter] = await buried(letters)
    assert letter.reason == "INVALID_ARGUMENT"


async def test_a_retry_is_for_its_consumer_alone(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """The consumer that failed gets it again; others and core subscribers do not."""
    await deliver(parcels, 1, headers={"Trace": "1"})
    heard: list[object] = []
    is_broken = True

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if is_broken:
            raise ValueError
        assert event.headers.get("Trace", "2") == str(event.data.count)

    async def hear(event: ReceivedEvent[Delivered]) -> None:
        heard.append(event.data.count)

    failing, other = Recorder(act), Recorder()
    async with (
        await consume(transport, failing, "billing", max_deliver=1),
        await consume(transport, other, "statistics"),
        await parcels.subscribe_delivered(hear),
    ):
        [letter] = await buried(letters)
        is_broken = False
        await letters.retry(letter)
        await until(lambda: failing.seen)
        await deliver(parcels, 2)
        await until(lambda: len(other.seen) == 2 and heard)
    assert [each async for each in letters.list()] == []
    assert failing.seen[0] == ("p-1", 1)
    assert other.seen == [("p-1", 1), ("p-1", 2)]
    assert heard == [2]


async def test_a_retry_that_fails_is_a_dead_letter_again(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """It has the subject of the first time, and can be retried again."""
    await deliver(parcels, 1)
    async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
        [first] = await buried(letters)
        await letters.retry(first)
        [second] = await buried(letters)
        await letters.retry(second)
        [third] = await buried(letters)
    assert first.subject == second.subject == third.subject
    assert first.payload == third.payload


async def test_a_dead_letter_that_two_retry_is_retried_once(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """Neither of two operators gets an error, and the event is stored once."""
    await deliver(parcels, 1)
    async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
        [letter] = await buried(letters)
    await asyncio.gather(letters.retry(letter), letters.retry(letter))
    info = await JetStream(transport).stream_info(STREAM.name)
    assert info.messages == 2


async def test_a_dead_letter_with_the_number_of_an_earlier_one_is_retried(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """A stream of dead letters that was made anew numbers them anew; no event is lost."""
    jetstream = JetStream(transport)
    for _ in range(2):
        await deliver(parcels, 1)
        async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
            [letter] = await buried(letters)
        assert letter.sequence == 1
        await letters.retry(letter)
        config = (await jetstream.stream_info(STREAM.dead_letters)).config
        await jetstream.delete_stream(STREAM.dead_letters)
        await jetstream.purge(STREAM.name, f"parcels.retry.{STREAM.name}.>")
        await jetstream.create_stream(config)
    info = await jetstream.stream_info(STREAM.name)
    assert info.last_sequence == 4


async def test_a_dead_letter_is_dropped_once(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """It is gone afterwards, and dropping or finding it again is an error."""
    await deliver(parcels, 1)
    async with await consume(transport, Recorder(fail), "billing", max_deliver=1):
        [letter] = await buried(letters)
    assert await letters.get(letter.sequence) == letter
    assert [each async for each in letters.list("statistics")] == []
    await letters.drop(letter)
    with pytest.raises(NotFoundError, match="there is no dead letter 1"):
        await letters.get(letter.sequence)
    with pytest.raises(NotFoundError, match="there is no dead letter 1"):
        await letters.drop(letter)


@pytest.mark.parametrize(
    ("subject", "consumer", "number"),
    [
        ("", "billing", "9" * 5000),
        ("parcels.stream", "billing", "²"),
        ("a.b.*.c", "billing", "x"),
        ("parcels.stream.1.parcel.moved", ">", "-1"),
        ("parcels.stream.1.parcel.moved", "", "1e9"),
    ],
)
async def test_a_letter_of_another_program_is_listed(
    transport: NatsTransport, letters: DeadLetters, subject: str, consumer: str, number: str
) -> None:
    """Headers that are not valid keep it from being retried, and from nothing else."""
    lines = {"Subject": subject, "Consumer": consumer, "Sequence": number, "Attempts": number}
    block = "".join(f"Wee-Dead-{name}: {value}\r\n" for name, value in lines.items()).encode()
    dead = f"parcels.dead-letters.{STREAM.name}.billing"
    await JetStream(transport).publish(dead, b"\xff", block)
    [letter] = [each async for each in letters.list()]
    assert (letter.subject, letter.event_sequence, letter.attempts) == (subject, 0, 0)
    with pytest.raises(FailedPreconditionError, match="dead letter 1 does not say of which event"):
        await letters.retry(letter)
    await letters.drop(letter)


@pytest.mark.parametrize(
    ("payload", "headers"),
    [(b"\xff" * (1024 * 1024 - 250), b""), (b"\xff", b"X: %b\r\n" % (b"y" * 65_400))],
)
async def test_letter_of_an_event_of_maximum_size(
    transport: NatsTransport, letters: DeadLetters, payload: bytes, headers: bytes
) -> None:
    """It has no room for the payload and the headers, which are those in the stream of events."""
    jetstream = JetStream(transport)
    await jetstream.publish("parcels.stream.2.parcel.delivered", payload, headers)
    async with await consume(transport, Recorder(), "billing"):
        [listed] = await buried(letters)
    assert (listed.is_omitted, listed.payload, listed.headers) == (True, b"", b"")
    letter = await letters.get(listed.sequence)
    assert (letter.is_omitted, letter.payload, letter.headers) == (False, payload, headers)
    await jetstream.delete_message(STREAM.name, 1)
    assert await letters.get(listed.sequence) == listed
    with pytest.raises(NotFoundError, match="event 1 is no longer in the stream parcels-events"):
        await letters.retry(listed)


async def test_retry_with_a_huge_subject_is_given_up(
    transport: NatsTransport, letters: DeadLetters
) -> None:
    """A subject that no event has does not keep a message from becoming a dead letter."""
    header = b"Wee-Dead-Subject: %b\r\n" % (b"x" * 50_000)
    await JetStream(transport).publish("parcels.retry.parcels-events.0.billing", b"{}", header)
    async with await consume(transport, Recorder(), "billing"):
        [letter] = await buried(letters)
    assert (letter.subject, letter.payload) == ("", b"{}")


async def test_a_dead_letter_is_stored_once(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters
) -> None:
    """An instance that dies between storing and settling leaves one, not two."""
    await deliver(parcels, 1)
    message = await JetStream(transport).get(STREAM.name, 1)
    for _ in range(2):
        await letters.add(message, "billing", reason="INTERNAL", error="ValueError", attempts=5)
    assert len([each async for each in letters.list()]) == 1


async def test_without_a_place_for_it_an_event_stays(
    parcels: ParcelsClient, transport: NatsTransport, letters: DeadLetters, caplog: Any
) -> None:
    """Nothing is lost when the stream of dead letters is missing: the event comes again."""
    await JetStream(transport).delete_stream(STREAM.dead_letters)
    await deliver(parcels, 1)

    async def act(event: ReceivedEvent[Delivered]) -> None:
        if event.attempt < 2:
            raise ValueError

    recorder = Recorder(act)
    options: Any = {"max_deliver": 1, "backoff": [0.01]}
    async with await consume(transport, recorder, "billing", **options):
        await eventually(lambda: "cannot become a dead letter" in caplog.text)
    assert "weenats streams apply" in caplog.text
    with pytest.raises(StreamMissingError, match="weenats streams apply"):
        await letters.get(1)
    with pytest.raises(StreamMissingError, match="weenats streams apply"):
        await anext(letters.list())
