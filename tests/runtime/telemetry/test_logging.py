"""Log records with the current message, trace and principal, as JSON and as text."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from testkit.contexts import make_context
from testkit.probe import Happened, Outcome, Probe, Run
from testkit.telemetry import Recording, calling, probe_token, probe_validator, serving
from weenats import Principal, ReceivedEvent, RequestContext
from weenats import logging as weenats_logging
from weenats.context import CURRENT
from weenats.logging import (
    FIELDS,
    JsonFormatter,
    LineFormatter,
    MessageFilter,
    TextFormatter,
    configure,
)
from weenats.telemetry.settings import PrincipalMode

LOG: Final = logging.getLogger("application")


@pytest.fixture(autouse=True)
def restore_root_logger() -> Iterator[None]:
    """Restore level and handlers of the root logger."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers = handlers


def configure_stream(**options: Any) -> StringIO:
    """Configure logging and return the output stream."""
    handler = configure(**options)
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream := StringIO())
    return stream


def json_lines(stream: StringIO) -> list[dict[str, Any]]:
    """Return the records, each a line of JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_import_does_not_configure_logging() -> None:
    """A fresh import sets no handler and no level on any logger."""
    program = (
        "import logging, weenats, weenats.logging, weenats.telemetry, weenats.service\n"
        "assert not logging.getLogger().handlers\n"
        "assert logging.getLogger().level == logging.WARNING\n"
        "for name in list(logging.root.manager.loggerDict):\n"
        "    if name.startswith('weenats'):\n"
        "        logger = logging.getLogger(name)\n"
        "        assert not logger.handlers and not logger.filters and logger.level == 0, name\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_configuring_again_replaces_the_handler() -> None:
    """There is only one weenats handler, and other handlers stay."""
    other = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(other)
    first = configure()
    second = configure(json=True, level="DEBUG")
    assert first not in root.handlers
    assert [second in root.handlers, other in root.handlers] == [True, True]
    assert root.level == logging.DEBUG
    stream = configure_stream(level=logging.WARNING)
    LOG.info("quiet")
    LOG.warning("loud")
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("bad", [{"level": "LOUD"}, {"principal": "secret"}])
def test_invalid_configuration_changes_nothing(bad: dict[str, Any]) -> None:
    """An invalid value is rejected before anything is replaced."""
    before = configure()
    with pytest.raises(ValueError, match=r"LOUD|secret"):
        configure(**bad)
    ours = [each for each in logging.getLogger().handlers if each.get_name() == "weenats"]
    assert ours == [before]


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        ("plain", "ada"),
        ("hashed", "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029"),
        ("none", None),
    ],
)
async def test_record_has_the_fields_of_its_request(
    nats_url: str, observed: Recording, handlers: Probe, mode: Any, shown: str | None
) -> None:
    """A record has trace, span, correlation id, message id, operation and principal."""
    stream = configure_stream(json=True, principal=mode)

    async def log_done(key: str, command: Run, context: RequestContext) -> Outcome:
        LOG.info("done %s", 1)
        return Outcome(text=key)

    handlers.actions["log_done"] = log_done
    LOG.info("before")
    async with serving(nats_url, handlers, auth=probe_validator()), calling(nats_url) as client:
        await client.run("k", Run(action="log_done"), token=probe_token(), correlation_id="c-1")
    server = observed.one(SpanKind.SERVER)
    told = {line["message"]: line for line in json_lines(stream) if line["logger"] == "application"}
    del told["done 1"]["timestamp"]
    assert told["done 1"] == {
        "level": "INFO",
        "logger": "application",
        "message": "done 1",
        "trace_id": f"{server.context.trace_id:032x}",
        "span_id": f"{server.context.span_id:016x}",
        "correlation_id": "c-1",
        "message_id": handlers.seen[0].message_id,
        "operation": "probe/run",
        **({} if shown is None else {"principal": shown}),
    }
    assert not set(FIELDS) & set(told["before"])


async def test_record_of_an_event_has_no_operation(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """The record has the ids and the trace of the event."""
    stream = configure_stream(json=True)
    arrived: asyncio.Queue[ReceivedEvent[Happened]] = asyncio.Queue()

    async def take(event: ReceivedEvent[Happened]) -> None:
        LOG.info("took it")
        arrived.put_nowait(event)

    async with calling(nats_url) as client, await client.subscribe_happened(take):
        await client.publish_happened("k", Happened(whatText="x"), revision=1)
        event = await arrived.get()
    (line,) = [each for each in json_lines(stream) if each["message"] == "took it"]
    assert line["trace_id"] == f"{observed.one(SpanKind.CONSUMER).context.trace_id:032x}"
    assert line["message_id"] == event.message_id
    assert "operation" not in line


async def test_record_of_a_queued_request_has_its_own_fields(
    nats_url: str, observed: Recording, handlers: Probe
) -> None:
    """Records before the span starts have no span, in particular not that of another request."""
    stream = configure_stream(json=True)
    entered, opened = asyncio.Semaphore(0), asyncio.Event()
    seen: list[bool] = []

    async def hold(key: str, command: Run, context: RequestContext) -> Outcome:
        seen.append(trace.get_current_span().get_span_context().is_valid)
        entered.release()
        await opened.wait()
        return Outcome(text=key)

    handlers.actions["hold"] = hold
    good = probe_token()
    async with serving(nats_url, handlers, auth=probe_validator()), calling(nats_url) as client:
        calls = [
            asyncio.create_task(client.run("k", Run(action="hold"), token=text))
            for text in (good, good, "bad.token.text", "bad.token.text")
        ]
        for _ in range(2):
            await entered.acquire()
        opened.set()
        await asyncio.gather(*calls, return_exceptions=True)
    refusals = [each for each in json_lines(stream) if each["logger"] == "weenats.auth"]
    assert len(refusals) == 2
    failed = [span for span in observed.of(SpanKind.SERVER) if not span.status.is_ok]
    assert {line["span_id"] for line in refusals} == {f"{s.context.span_id:016x}" for s in failed}
    for line in refusals:
        assert line["operation"] == "probe/run"
        assert "principal" not in line


def record(message: str, *given: Any, **more: Any) -> logging.LogRecord:
    """Return a log record like a logger creates it."""
    made = logging.LogRecord("application", logging.ERROR, "f.py", 1, message, given, None)
    made.__dict__.update(more)
    return made


@given(st.text(), st.text())
def test_json_record_is_always_one_line(message: str, field: str) -> None:
    """Any text becomes one ASCII line and can be read back."""
    line = JsonFormatter().format(record("%s", message, correlation_id=field))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    told = json.loads(line)
    assert told["message"] == message
    assert told.get("correlation_id", "") == field


def test_json_record_contains_the_exception() -> None:
    """The traceback is in the same line."""
    stream = configure_stream(json=True)
    try:
        raise ValueError("a\nb")  # noqa: TRY301 - what it is about
    except ValueError:
        LOG.exception("it failed", stack_info=True)
    (line,) = json_lines(stream)
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: a\nb")
    assert line["stack"].startswith("Stack")
    assert line["timestamp"].endswith("Z")
    assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000Z")


def test_json_record_contains_extra_values() -> None:
    """Values of `extra=` are members of the line, as JSON or else as text."""
    stream = configure_stream(json=True)
    LOG.info("paid", extra={"order_id": 7, "tags": ["a"], "when": UUID(int=0), "none": None})
    (line,) = json_lines(stream)
    assert {name: line[name] for name in ("order_id", "tags", "when", "none")} == {
        "order_id": 7,
        "tags": ["a"],
        "when": "00000000-0000-0000-0000-000000000000",
        "none": None,
    }
    assert len(line) == len(("timestamp", "level", "logger", "message")) + 4


def test_extra_values_replace_nothing_in_the_json_record() -> None:
    """A value of `extra=` whose name the line uses itself is a member of `extra`."""
    given = {"level": "gold", "timestamp": 5, "principal": "eve", "trace_id": "t", "extra": "e"}
    stream = configure_stream(json=True, principal="hashed")
    served = make_context(side="server", correlation_id="c-1", principal=Principal(id="ada"))
    reset = CURRENT.set(served)
    try:
        LOG.info("paid", extra=given)
    finally:
        CURRENT.reset(reset)
    (line,) = json_lines(stream)
    assert line["extra"] == given
    assert line["level"] == "INFO"
    assert line["correlation_id"] == "c-1"
    assert len(line["principal"]) == 64
    assert "trace_id" not in line


def test_second_handler_shows_the_principal_as_it_is_configured() -> None:
    """Each handler with a filter shows its own fields and the values of `extra=` once."""
    streams = [StringIO(), StringIO()]
    modes: list[PrincipalMode] = ["plain", "none"]
    given = record("paid", order_id=7, operation="refund")
    reset = CURRENT.set(make_context(side="server", principal=Principal(id="ada")))
    try:
        for stream, mode in zip(streams, modes, strict=True):
            handler = logging.StreamHandler(stream)
            handler.addFilter(MessageFilter(principal=mode))
            handler.setFormatter(JsonFormatter())
            handler.handle(given)
    finally:
        CURRENT.reset(reset)
    plain, without = (json.loads(stream.getvalue()) for stream in streams)
    assert plain.pop("principal") == "ada"
    assert plain == without
    assert plain["extra"] == {"operation": "refund"}
    assert plain["operation"] == "probe/run"
    assert plain["order_id"] == 7


@pytest.mark.parametrize("kind", ["nan", "circle", "keys", "str", "deep", "items"])
def test_extra_value_that_is_not_json_is_logged_as_text(kind: str) -> None:
    """A record is written whatever `extra=` holds, as one line of valid JSON."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    class BrokenItems(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError

    circle: list[Any] = []
    circle.append(circle)
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    values: dict[str, Any] = {
        "nan": {"x": float("nan")},
        "circle": circle,
        "keys": {(1, 2): 3},
        "str": Broken(),
        "deep": deep,
        "items": BrokenItems(a=1),
    }
    given = record("paid", given=values[kind], other={"n": 1})
    (text,) = JsonFormatter().format(given).splitlines()
    line = json.loads(text, parse_constant=pytest.fail)
    assert line["message"] == "paid"
    assert isinstance(line["given"], str)
    assert line["other"] == {"n": 1}  # one odd value leaves the others as they are


def test_text_and_json_records_do_not_mix() -> None:
    """The text of one handler adds nothing to the JSON of another."""
    given = record("paid", fields="all")
    TextFormatter().format(given)
    line = json.loads(JsonFormatter().format(given))
    assert line["fields"] == "all"
    assert set(line) == {"timestamp", "level", "logger", "message", "fields"}


def test_text_record_shows_available_fields(observed: Recording) -> None:
    """Fields are in brackets before the message; without fields there are no brackets."""
    stream = configure_stream()
    LOG.info("outside")
    served = make_context(side="server", correlation_id="c-1", principal=Principal(id="ada"))
    reset = CURRENT.set(served)
    try:
        LOG.info("inside")
    finally:
        CURRENT.reset(reset)
    outside, inside = stream.getvalue().splitlines()
    assert outside.endswith(" INFO    application outside")
    assert inside.endswith(" INFO    application [probe/run ada c-1] inside")


def test_records_without_the_filter_are_formatted() -> None:
    """A record that did not pass the filter only lacks its fields."""
    assert TextFormatter().format(record("plain")).endswith("ERROR   application plain")
    assert json.loads(JsonFormatter().format(record("plain")))["message"] == "plain"
    assert weenats_logging.current_fields() == dict.fromkeys(FIELDS, "")


EVIL = "a\x9b\u202e\x7f\u200b\u2028\x1b[2J\nERROR forged\r\n\ud800b"


def failed(text: str) -> logging.LogRecord:
    """Return the record of an exception, with this text in each part of it."""
    try:
        raise ValueError(text)  # noqa: TRY301 - what it is about
    except ValueError:
        return record("%s", text, exc_info=sys.exc_info())


@pytest.mark.parametrize(
    "formatter", [JsonFormatter(), TextFormatter(), LineFormatter("%(name)s: %(message)s")]
)
def test_records_do_not_control_the_terminal(formatter: logging.Formatter) -> None:
    """What is not printable is escaped, and a message cannot begin a line of its own."""
    plain = formatter.format(record("%s", EVIL))
    assert plain.isprintable()
    assert "u009b" in plain
    traced = failed(EVIL)
    logging.Formatter().format(traced)  # keeps the unescaped traceback in the record
    text = formatter.format(traced)
    assert text.replace("\n", "").isprintable()
    assert text.count("u009b") == 2
    assert "\nERROR" not in text
