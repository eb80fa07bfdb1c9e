"""The commands `weenats streams` and `weenats dead-letters`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testkit.parcels import (
    CONTRACT_FOLDER,
    PARCELS_EVENTS_STREAM,
    Delivered,
    ParcelsClient,
    Recorder,
    remove_streams,
)
from testkit.paths import REPOSITORY
from testkit.waiting import until
from weenats import NatsTransport
from weenats.events import consume
from weenats.streams.dead_letters import DeadLetter, DeadLetters
from weenats.testing import NatsServer
from weenats.transport.jetstream import JetStream, StreamFullError
from weenats_codegen.cli.main import main

CONTRACT = str(CONTRACT_FOLDER)
STORED = """
service: lamps
version: 1.0.0
description: Keeps lamps.
aggregates:
  lamp:
    description: One lamp.
    store: stream
    state: {type: object, properties: {}}
    commands: {switch: {description: Switch it., payload: {type: boolean}, emits: [switched]}}
    events: {switched: {description: It was switched., data: {type: boolean}}}
"""
NO_STREAMS = str(REPOSITORY / "schemas" / "loyalty")
STREAMS = ["parcels-events", "parcels-events-dead-letters", "couriers", "couriers-dead-letters"]
Run = Any


@pytest.fixture
def run(nats_url: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command on the shared server; return its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main([*arguments, "--servers", nats_url])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    asyncio.run(remove_streams(nats_url))  # of other tests
    yield run
    asyncio.run(remove_streams(nats_url))


async def fail(url: str, number: int) -> None:
    """Make some events dead letters of `billing`."""
    transport = NatsTransport(url)
    parcels = ParcelsClient(transport)

    async def act(_: object) -> None:
        raise ValueError

    async with await consume(transport, Recorder(act), "billing", max_deliver=1):
        for count in range(number):
            await parcels.publish_delivered(f"p-{count}", Delivered(count=count))
        letters = DeadLetters(transport, PARCELS_EVENTS_STREAM)
        async with asyncio.timeout(30):
            while len([each async for each in letters.list()]) < number:
                pass
    await transport.close()


async def process(url: str, number: int) -> list[Any]:
    """Process some events as `billing`."""
    transport = NatsTransport(url)
    recorder = Recorder()
    async with await consume(transport, recorder, "billing"):
        await until(lambda: len(recorder.seen) == number)
    await transport.close()
    return recorder.seen


def test_streams_are_planned_and_applied(run: Run) -> None:
    """A plan changes nothing; after it was applied there is nothing left."""
    code, out, _ = run("streams", "plan", CONTRACT)
    assert (code, out.splitlines()) == (0, [f"{each}: create" for each in STREAMS])
    assert run("streams", "apply", CONTRACT)[1] == out
    code, out, _ = run("streams", "plan", CONTRACT)
    assert out.splitlines() == [f"{each}: as in the contract" for each in STREAMS]
    code, out, _ = run("streams", "plan", CONTRACT, "--json")
    assert json.loads(out)[0] == {"stream": "parcels-events", "action": "none", "changes": []}


def test_dangerous_changes_need_force(run: Run, tmp_path: Path, nats_url: str) -> None:
    """What would be lost is shown, and done with --force alone."""
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 1))
    changed = tmp_path / "parcels"
    changed.mkdir()
    text = (CONTRACT_FOLDER / "service.yaml").read_text()
    (changed / "service.yaml").write_text(text.replace("partitions: 4", "maxAge: 7d"))
    code, out, _ = run("streams", "plan", str(changed))
    assert code == 0
    assert "  max_age: none -> 604800 (may remove stored events)" in out
    assert "  partitions: 4 -> 16 (keys move to other partitions" in out
    code, _, error = run("streams", "apply", str(changed))
    assert code == 1
    assert "apply it with --force" in error
    assert run("streams", "apply", str(changed), "--force")[0] == 0
    assert "create" not in run("streams", "plan", str(changed))[1]
    run("streams", "apply", CONTRACT, "--force")


def test_status_shows_what_is_pending(
    run: Run, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events, consumers and dead letters, for people and programs; pipes get whole lines."""
    monkeypatch.delenv("COLUMNS", raising=False)
    assert "does not exist" in run("streams", "status", CONTRACT)[2]
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 2))
    code, out, _ = run("streams", "status", CONTRACT, "--json")
    first = json.loads(out)[0]
    assert (code, first["stream"], first["messages"], first["used"], first["deadLetters"]) == (
        *(0, "parcels-events"),
        *(2, None, 2),
    )
    assert first["consumers"] == [
        {
            "stream": "parcels-events",
            "name": "billing",
            "pending": 0,
            "unacknowledged": 0,
            "redelivered": 0,
            "lag": 0.0,
            "paused": False,
        }
    ]
    code, out, _ = run("streams", "status", CONTRACT)
    assert out.splitlines()[1].split() == ["parcels-events", "2", "2"]
    assert out.splitlines()[2].split() == ["billing", "0", "0", "0", "0", "s"]
    kept = "parcels-events: acknowledged by 1 server, on disk later; the servers do not say when"
    assert kept in out.splitlines()


def test_status_of_stored_aggregates(
    own_nats_server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contract without durable events shows the streams that keep its aggregates."""
    (tmp_path / "service.yaml").write_text(STORED)
    arguments = [str(tmp_path), "--servers", own_nats_server.url]
    assert main(["streams", "apply", *arguments]) == 0
    capsys.readouterr()
    assert main(["streams", "status", *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(each["stream"], each["messages"], each["deadLetters"]) for each in found] == [
        ("lamps-commits", 0, None),
        ("KV_lamps-snapshots", 0, None),
    ]
    assert main(["streams", "status", *arguments]) == 0
    assert "lamps-commits: acknowledged by 1 server" in capsys.readouterr().out


async def fill(url: str) -> None:
    """Publish an event more than a stream takes."""
    async with ParcelsClient.connect(url) as parcels:
        for count in range(3):
            await parcels.publish_delivered("p-1", Delivered(count=count))
        with pytest.raises(StreamFullError):
            await parcels.publish_delivered("p-1", Delivered(count=3))


def test_status_shows_a_full_stream(run: Run, nats_url: str, tmp_path: Path) -> None:
    """A stream at its limit says that it refuses new events."""
    text = (CONTRACT_FOLDER / "service.yaml").read_text()
    (tmp_path / "service.yaml").write_text(text.replace("partitions: 4", "maxMessages: 3"))
    run("streams", "apply", str(tmp_path))
    assert "of its limit" not in run("streams", "status", str(tmp_path))[1]
    asyncio.run(fill(nats_url))
    _, out, _ = run("streams", "status", str(tmp_path), "--json")
    assert [each["used"] for each in json.loads(out)] == [1.0, 0.0]
    lines = run("streams", "status", str(tmp_path))[1].splitlines()
    assert (
        lines[-1] == "parcels-events: 100% of its limit is used; at the limit it refuses new events"
    )


@pytest.mark.parametrize(
    ("start", "number"), [("beginning", 2), ("2", 1), ("2020-01-01T00:00", 2), ("new", 0)]
)
def test_a_consumer_is_replayed(run: Run, nats_url: str, start: str, number: int) -> None:
    """It processes the events from there on again."""
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 2))
    arguments = ["streams", "replay", CONTRACT, "billing", "--from", start]
    code, out, error = run(*arguments, "--stream", "parcels-events")
    assert code == 0, error
    assert out.startswith(f"billing begins again: {number} events of parcels-events are pending")
    assert len(asyncio.run(process(nats_url, number))) == number


@pytest.mark.parametrize("start", ["x", "9" * 5000, "9999-12-31T23:59-23:59"])
def test_invalid_start_is_wrong_usage(run: Run, start: str) -> None:
    """A start that no event can have is refused with what is expected."""
    code, _, error = run(
        "streams", "replay", CONTRACT, "billing", "--stream", "couriers", "--from", start
    )
    assert code == 2
    assert "--from is beginning, new, a sequence" in " ".join(error.split())


def test_wrong_arguments_are_explained(run: Run) -> None:
    """Each error says what is known or expected."""
    run("streams", "apply", CONTRACT)
    replay = ["streams", "replay", CONTRACT, "billing"]
    for arguments, text in (
        (replay, "has several streams: choose one with --stream (parcels-events, couriers)"),
        ([*replay, "--stream", "x"], "has no stream x; known are couriers, parcels-events"),
        ([*replay, "--stream", "courier"], "has no stream courier; did you mean couriers?"),
        (
            ["dead-letters", "list", CONTRACT, "--stream", "couriers", "--consumer", "bill"],
            "the stream couriers has no consumer bill; there are none",
        ),
        ([*replay, "--stream", "couriers"], "the stream couriers has no consumer billing"),
        (["streams", "plan", NO_STREAMS], "loyalty has no durable events"),
        (
            ["dead-letters", "show", CONTRACT, "7", "--stream", "couriers"],
            "there is no dead letter 7",
        ),
    ):
        code, _, error = run(*arguments)
        assert code == 1
        assert text in error
    letters = ["dead-letters", "retry", CONTRACT]
    for arguments in (letters, [*letters, "1", "--all"], [*letters, "1", "--consumer", "b"]):
        assert run(*arguments)[0] == 2


def test_dead_letters_are_listed_shown_retried_and_dropped(
    run: Run, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list has keys and no payloads; a retried event is processed; a dropped one is gone."""
    monkeypatch.setenv("COLUMNS", "200")
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 3))
    of = ["--stream", "parcels-events"]
    code, out, _ = run("dead-letters", "list", CONTRACT, *of)
    assert code == 0
    rows = [line.split() for line in out.splitlines()[1:]]
    expected = ["billing", "parcel.delivered", "INTERNAL", "ValueError", "1"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert sorted(row.pop(3) for row in rows) == ["p-0", "p-1", "p-2"]
    assert all(row[1:6] == expected for row in rows)
    assert "count" not in out
    shown = json.loads(run("dead-letters", "show", CONTRACT, "1", *of, "--json")[1])
    assert shown["payload"]["type"] == "delivered"
    assert shown["key"] == shown["payload"]["aggregate"]["key"]
    assert json.loads(run("dead-letters", "show", CONTRACT, "1", *of)[1]) == shown
    assert run("dead-letters", "retry", CONTRACT, "1", *of)[1] == (
        "1 dead letter to be processed again\n"
    )
    assert run("dead-letters", "drop", CONTRACT, "2", *of)[1] == "1 dead letter removed\n"
    arguments = ["dead-letters", "retry", CONTRACT, "--all", "--consumer", "billing", *of]
    assert json.loads(run(*arguments, "--json")[1])[0]["number"] == 3
    assert len(asyncio.run(process(nats_url, 2))) == 2
    assert run("dead-letters", "list", CONTRACT, *of)[1] == "no dead letters\n"


def test_what_is_not_json_is_shown_as_text(run: Run, nats_url: str) -> None:
    """The payload of a dead letter that cannot be decoded is text, in which nothing is lost."""
    run("streams", "apply", CONTRACT)

    async def bury() -> None:
        transport = NatsTransport(nats_url)
        await JetStream(transport).publish("parcels.stream.0.depot-closed", b"\xffnot JSON")
        async with await consume(transport, Recorder(), "billing"):
            letters = DeadLetters(transport, PARCELS_EVENTS_STREAM)
            async with asyncio.timeout(30):
                while not [each async for each in letters.list()]:
                    pass
        await transport.close()

    asyncio.run(bury())
    arguments = ["dead-letters", "show", CONTRACT, "1", "--stream", "parcels-events", "--json"]
    assert json.loads(run(*arguments)[1])["payload"] == "\\xffnot JSON"


def store(url: str, subject: str, payload: bytes, headers: bytes = b"") -> None:
    """Store a message, as any program may."""

    async def publish() -> None:
        transport = NatsTransport(url)
        await JetStream(transport).publish(subject, payload, headers)
        await transport.close()

    asyncio.run(publish())


DEAD = "parcels.dead-letters.parcels-events.billing"


@pytest.mark.parametrize("chosen", ["--all", "1 2 3 2"])
def test_a_dead_letter_that_cannot_be_retried_keeps_no_other(
    run: Run, nats_url: str, chosen: str
) -> None:
    """It is named, the others are processed again, and the exit code is 1."""
    run("streams", "apply", CONTRACT)
    store(nats_url, DEAD, b"{}")
    asyncio.run(fail(nats_url, 2))
    of = ["--stream", "parcels-events"]
    code, out, error = run("dead-letters", "retry", CONTRACT, *chosen.split(), *of)
    assert (code, out) == (1, "2 dead letters to be processed again\n")
    assert "dead letter 1 does not say of which event and consumer it is" in error
    assert error.endswith("weenats: 1 of 3 dead letters failed\n")
    code, out, _ = run("dead-letters", "retry", CONTRACT, "--all", *of, "--json")
    assert (code, json.loads(out)) == (1, [])
    assert run("dead-letters", "drop", CONTRACT, "1", "1", *of)[1] == "1 dead letter removed\n"


def test_dead_letters_that_somebody_else_removes_keep_no_other(
    run: Run, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two operators who remove all, each is told what the other one has removed."""
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 3))
    drop = DeadLetters.drop

    async def drop_later(letters: DeadLetters, letter: DeadLetter) -> None:
        if letter.sequence == 1:
            await drop(letters, letter)
        await drop(letters, letter)

    monkeypatch.setattr(DeadLetters, "drop", drop_later)
    code, out, error = run("dead-letters", "drop", CONTRACT, "--all", "--stream", "parcels-events")
    assert (code, out) == (1, "2 dead letters removed\n")
    assert "there is no dead letter 1" in error


def test_what_was_retried_is_printed_when_the_rest_cannot_be(run: Run, nats_url: str) -> None:
    """A stream that is full ends the command, which says what it has done before."""
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 3))

    async def limit() -> None:
        transport = NatsTransport(nats_url)
        jetstream = JetStream(transport)
        config = (await jetstream.stream_info("parcels-events")).config
        await jetstream.update_stream(replace(config, max_messages=4, discard="new"))
        await transport.close()

    asyncio.run(limit())
    code, out, error = run("dead-letters", "retry", CONTRACT, "--all", "--stream", "parcels-events")
    assert (code, out) == (1, "1 dead letter to be processed again\n")
    assert "UNAVAILABLE" in error


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{"price": 0.12345678901234567890, "mass": 1e400}', '"price": 0.12345678901234567890'),
        (b'{"price": NaN}', '{\\"price\\": NaN}'),
    ],
)
def test_payloads_of_dead_letters_keep_their_digits(
    run: Run, nats_url: str, payload: bytes, shown: str
) -> None:
    """No number of a payload is rounded, and what JSON does not have is text."""
    run("streams", "apply", CONTRACT)
    store(nats_url, DEAD, payload)
    for options in ([], ["--json"]):
        arguments = ["dead-letters", "show", CONTRACT, "1", "--stream", "parcels-events", *options]
        out = run(*arguments)[1]
        assert shown in out
        assert out.count("null") == 1  # the key


def test_top_shows_consumers(run: Run, nats_url: str) -> None:
    """Consumers that nobody runs are shown; a service without any that does not run is an error."""
    run("streams", "apply", CONTRACT)
    asyncio.run(fail(nats_url, 2))
    arguments = ("top", "parcels", "--once", "--interval", "0.1")
    code, out, _ = run(*arguments, "--json")
    assert (code, json.loads(out)["consumers"]) == (
        0,
        [
            {
                "service": "parcels",
                "stream": stream,
                "name": "billing",
                "pending": 0,
                "unacknowledged": 0,
                "redelivered": 0,
                "lag": 0.0,
                "paused": False,
            }
            for stream in ("couriers", "parcels-events")
        ],
    )
    lines = run(*arguments)[1].splitlines()
    assert [line.split() for line in lines] == [
        ["no", "service", "is", "running"],
        [],
        ["consumer", "stream", "pending", "in", "work", "repeated", "late"],
        ["parcels", "billing", "couriers", "0", "0", "0", "0", "s"],
        ["parcels", "billing", "parcels-events", "0", "0", "0", "0", "s"],
    ]
    others = run("top", "orders", *arguments[2:], "--json")
    assert others == (1, "", "weenats: no instance of orders is running\n")
