"""The `weenats health` command, and how other commands show instances that are not ready."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.discovery import ExpectAnswers
from testkit.foreign_service import foreign_service, micro
from testkit.waiting import LIMIT, eventually
from weenats import InternalError, NatsServiceBuilder
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main

TOP = ["top", "--once", "--interval", "0.1"]


class Running:
    """Instances of the sample in a thread of their own; the check `store` of one fails."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.ids: list[str] = []
        self.started, self.ended = threading.Event(), threading.Event()

    async def serve(self) -> None:
        """Run until the end."""
        well = NatsServiceBuilder(Receipts(), self.url).with_health(
            custom_checks=[{"name": "store", "check": lambda: True}]
        )
        sick = NatsServiceBuilder(Receipts(), self.url).with_health(
            custom_checks=[{"name": "store", "check": lambda: False}]
        )
        async with well.build() as first, sick.build() as second:
            self.ids += [first.instance_id, second.instance_id]
            self.started.set()
            await asyncio.to_thread(self.ended.wait)


class Ejected(Running):
    """An instance that has left its queue group, since its only circuit breaker is open."""

    async def serve(self) -> None:
        """Run until the end."""

        class Failing(Receipts):
            async def add_item(self, *_: Any) -> Any:
                raise ConnectionRefusedError

        service = (
            NatsServiceBuilder(Failing(), self.url)
            .with_queue_group("receipts", self_eject=True)
            .with_circuit_breaker(failure_threshold=1, scope="service", recovery_timeout=3600)
            .build()
        )
        async with service, ReceiptsClient.connect(self.url) as client:
            with pytest.raises(InternalError):
                await client.add_item("r-1", AddItem(name="Tea", price=1, quantity=1))
            await eventually(lambda: not service.is_member)
            self.ids.append(service.instance_id)
            self.started.set()
            await asyncio.to_thread(self.ended.wait)


def running(kind: type[Running]) -> Iterator[Running]:
    """Start instances on a server of their own."""
    with NatsServer() as server:
        instances = kind(server.url)
        thread = threading.Thread(target=lambda: asyncio.run(instances.serve()), daemon=True)
        thread.start()
        assert instances.started.wait(LIMIT)
        yield instances
        instances.ended.set()
        thread.join(LIMIT)


@pytest.fixture(scope="module")
def mixed() -> Iterator[Running]:
    """One instance that is ready, and one that is not."""
    yield from running(Running)


@pytest.fixture(scope="module")
def ejected() -> Iterator[Running]:
    """One instance that has ejected itself."""
    yield from running(Ejected)


def test_health_of_all_instances(
    mixed: Running, capsys: pytest.CaptureFixture[str], expect_answers: ExpectAnswers
) -> None:
    """Each instance and each check is shown; one that is not ready makes the exit code 1."""
    expect_answers(2)
    assert main(["health", "receipts", "--servers", mixed.url]) == 1
    shown = capsys.readouterr()
    assert shown.err == "weenats: 1 of 2 instances of receipts are not ready\n"
    rows = {words[1]: words[2:] for words in map(str.split, shown.out.splitlines())}
    assert rows[mixed.ids[0]] == ["ready"]
    assert rows[mixed.ids[1]] == ["not", "ready:", "the", "check", "store", "fails"]
    assert "the check returned False" in shown.out


@pytest.mark.parametrize(("number", "code"), [(0, 0), (1, 1)])
def test_health_of_one_instance(
    number: int,
    code: int,
    mixed: Running,
    capsys: pytest.CaptureFixture[str],
    expect_answers: ExpectAnswers,
) -> None:
    """The exit code is that of the instance; --json prints what it reports."""
    expect_answers(2)
    arguments = ["health", "receipts", "--instance", mixed.ids[number], "--servers", mixed.url]
    assert main([*arguments, "--json"]) == code
    shown = capsys.readouterr()
    (found,) = json.loads(shown.out)
    assert (found["instance"], found["ready"]) == (mixed.ids[number], code == 0)
    assert found["health"]["checks"][0]["name"] == "store"
    assert (shown.err == "") == (code == 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["receipts", "--instance", "nobody"], "no instance of receipts has the id nobody"),
        (["orders"], "no instance of orders is running"),
    ],
)
def test_health_without_instance(
    arguments: list[str], told: str, mixed: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is missing is not healthy, and one line says so."""
    assert main(["health", *arguments, "--servers", mixed.url]) == 1
    assert capsys.readouterr().err.startswith(f"weenats: {told}")


@pytest.mark.usefixtures("impatient")
def test_health_without_server(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be reached is not healthy, and one line says why."""
    assert main(["health", "orders", "--servers", "nats://127.0.0.1:1"]) == 1
    told = "weenats: UNAVAILABLE: no connection to NATS at"
    assert capsys.readouterr().err.startswith(told)


def test_instance_that_answers_twice_counts_once(
    nats_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An instance that sends its statistics twice is shown and counted once."""
    with foreign_service(nats_url, micro(), micro()):
        assert main(["health", "odd", "--json", "--servers", nats_url]) == 1
        output = capsys.readouterr()
        assert [each["instance"] for each in json.loads(output.out)] == ["odd-1"]
        assert main(["services", "odd", "--json", "--servers", nats_url]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1


def test_health_of_foreign_services(nats_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A service that answers health requests alone is asked there; others are not known."""
    reply = {"type": "io.nats.micro.v1.ping_response", "name": "odd", "id": "odd-1"}
    health = {**reply, "version": "1.0.0", "status": "ok"}
    arguments = ["health", "odd", "--servers", nats_url]
    with foreign_service(nats_url, {**micro(), "odd.health": json.dumps(health).encode()}):
        assert main(arguments) == 0
    with foreign_service(nats_url, micro()):
        assert main(arguments) == 1
    assert "it does not report its health" in capsys.readouterr().out
    with foreign_service(nats_url, micro("MyService"), name="MyService"):
        assert main(["health", "MyService", "--servers", nats_url]) == 1


def test_ejected_instance_is_shown(ejected: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """`services`, `top` and `health` show that an instance has left its queue group, and why."""
    told = "ejected: the circuit breaker refuses all requests"
    for arguments, code, text in (
        (["services"], 0, told),
        (["health", "receipts"], 1, told),
        (TOP, 0, "ejected"),
        ([*TOP, "--json"], 0, '"ready": false, "ejected": true'),
        (["services", "--json"], 0, '"ejected": true'),
    ):
        assert main([*arguments, "--servers", ejected.url]) == code
        assert text in " ".join(capsys.readouterr().out.split())  # long lines are wrapped


def test_call_says_why_instances_are_ejected(
    ejected: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call that no instance takes says what they report."""
    assert main(["call", "receipts", "get", "r-1", "--servers", ejected.url]) == 1
    assert capsys.readouterr().err == (
        "weenats: UNAVAILABLE: no instance of receipts accepts calls now: ejected: the circuit"
        " breaker refuses all requests\n"
    )
