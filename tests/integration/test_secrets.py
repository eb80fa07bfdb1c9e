"""Payloads, tokens, passwords and `writeOnly` values are shown by nothing that weenats prints."""

from __future__ import annotations

import asyncio
import inspect
import logging
import pkgutil
import re
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from time import time
from types import ModuleType
from typing import Annotated, Any, Final

import jwt
import pytest
from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_validator,
)
from pydantic_core import PydanticCustomError

import weenats
from testkit.contexts import make_context
from testkit.probe import (
    CONTRACT,
    FORGET,
    GET,
    HAPPENED,
    RUN,
    THING,
    Happened,
    MissingDetails,
    Outcome,
    PartMissingError,
    Probe,
    ProbeClient,
    ProbeSyncClient,
    Run,
    Thing,
)
from testkit.telemetry import EVERYTHING, recording
from testkit.transports import soon
from testkit.waiting import until
from testkit.wire import METADATA, dump, request
from weenats import (
    AggregateId,
    AuthRequirement,
    CachedToken,
    ConnectionOptions,
    Endpoint,
    Entity,
    InvalidArgumentError,
    InvalidTokenError,
    JwtAuthConfig,
    Key,
    MessageContext,
    Model,
    NatsServiceBuilder,
    NatsTransport,
    NoAuthConfig,
    Principal,
    ReceivedEvent,
    RequestContext,
    Response,
    ServiceError,
    TelemetrySettings,
)
from weenats.aggregates import Decision
from weenats.client.call import CallDefaults
from weenats.client.gathering import InstanceReply
from weenats.codec.events import EventCodec
from weenats.codec.failures import decode_model
from weenats.codec.operations import OperationCodec
from weenats.contract import EventData
from weenats.logging import JsonFormatter, TextFormatter
from weenats.protocol.messages import HealthCheck, JwtAuthentication, PingResponse
from weenats.testing import NatsServer
from weenats.transport import Delivery
from weenats_codegen.cli.main import main

MARK: Final = "s3cr3t-mark"
SECRET: Final = f"{MARK}-of-an-issuer-that-is-long-enough-for-hmac-256"
CLAIMS: Final = {"sub": "ada", "aud": "probe", "exp": int(time()) + 3600, "note": MARK}
TOKEN: Final = jwt.encode(CLAIMS, SECRET, "HS256")
ACCOUNT: Final = f'authorization {{ user: "bob", password: "{MARK}" }}'
UNLISTED: Final = {
    "CircuitStateChange", "Command", "Event", "EventSubscription", "NatsService", "Query",
    "ServiceClient", "ServiceHandlers", "SyncEventSubscription", "TelemetryManager",
}  # fmt: skip
"""Public classes without secrets of their own, whose instances the scenario makes."""


class Login(Model):
    """A payload with a member that is `writeOnly`."""

    password: Annotated[str, Field(repr=False, max_length=3)]

    @field_validator("password", mode="before")
    @classmethod
    def check(cls, value: object) -> object:
        """Refuse some passwords, and name them."""
        if isinstance(value, str) and value.startswith("bad"):
            raise ValueError(f"{value} is bad")
        if isinstance(value, str) and value.startswith("worse"):
            raise PydanticCustomError("worse", "{value} is worse", {"value": value})
        return value


def exception_text(error: BaseException) -> str:
    """Return all that can be shown of an exception and of those that it is chained to."""
    shown: list[str] = []
    unread: list[BaseException | None] = [error]
    while unread:
        each = unread.pop()
        if each is not None:
            shown += [repr(each), str(each), "".join(traceback.format_exception(each))]
            unread += [each.__cause__, each.__context__]
    return "\n".join(shown)


class Log(logging.Handler):
    """Keeps the text of all records, as several formatters write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        for formatter in (logging.Formatter("%(name)s %(message)s"), TextFormatter()):
            record.exc_text = None
            self.lines.append(formatter.format(record))
        self.lines += [JsonFormatter().format(record), repr(record.args)]
        if record.exc_info and record.exc_info[1] is not None:
            self.lines.append(exception_text(record.exc_info[1]))

    def text(self) -> str:
        """Return everything that was logged."""
        return "\n".join(self.lines)


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of the runtime, with every level."""
    handler, logger = Log(), logging.getLogger("weenats")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def assert_hidden(text: str) -> None:
    """Check that a text shows none of the secrets."""
    for secret in (MARK, TOKEN, TOKEN.partition(".")[2]):
        where = text.find(secret)
        assert where < 0, f"... {text[max(where - 200, 0) : where + 50]}"


def errors() -> Iterator[BaseException]:
    """Yield an error of each public class; messages are for everybody, details for the caller."""
    for name in weenats.__all__:
        kind = getattr(weenats, name)
        if kind is InvalidTokenError:
            yield InvalidTokenError("expired")
        elif isinstance(kind, type) and issubclass(kind, ServiceError):
            yield kind("text", details={"x": MARK})
        elif isinstance(kind, type) and issubclass(kind, BaseException):
            yield kind("text")
    yield PartMissingError(details=MissingDetails(part=MARK))


def objects(url: str) -> list[object]:
    """Return an instance of every public class, with marked secrets wherever one may be."""
    context = make_context(token=TOKEN, payload=Run(action=MARK), metadata_context={"x": MARK})
    context.principal = Principal(id=MARK, claims={"note": MARK})
    data = Happened(text=MARK)
    notification = ("1", "k", 1, "t", data, "1", "1", None, {"x": MARK})
    options = ConnectionOptions(user="bob", password=MARK)
    auth = JwtAuthConfig(algorithms=["HS256"], secret=SECRET)
    transport = NatsTransport(url, options)
    builder = (
        NatsServiceBuilder(Probe(), url, connection=options)
        .with_auth(auth)
        .with_telemetry(exporter_url=f"https://bob:{MARK}@telemetry.example")
    )
    return [
        *errors(),
        AggregateId(type="thing", key="k"),
        AuthRequirement(scopes=("a",)),
        CachedToken(lambda: TOKEN),
        CallDefaults(token=TOKEN, context={"x": MARK}, headers={"x": MARK}),
        ConnectionOptions(auth_token=MARK),
        CONTRACT,
        Delivery("subject", "reply", MARK.encode(), f"NATS/1.0\r\nX: {MARK}\r\n\r\n".encode()),
        Endpoint.command(RUN, Probe().run),
        JwtAuthentication(type="jwt", token=TOKEN),
        Key[str]("tenant"),
        Login(password="abc"),
        MessageContext(message_id="1", correlation_id="1", metadata_context={"x": MARK}),
        NoAuthConfig(),
        OperationCodec(RUN).decode_request(OperationCodec(RUN).encode_request(context)),
        ReceivedEvent[Happened](notification, {"x": MARK}),
        Response(Outcome(text=MARK)),
        SecretStr(MARK),
        THING,
        TelemetrySettings(exporter_url=f"https://bob:{MARK}@telemetry.example"),
        builder,
        builder._settings,
        context,
        context.principal,
        auth,
        options,
        transport,
        ProbeClient(transport).with_token(TOKEN).with_context(x=MARK).with_header("X", MARK),
        ProbeSyncClient(transport).with_token(TOKEN).with_context(x=MARK).with_header("X", MARK),
    ]


def public_classes(module: ModuleType) -> set[str]:
    """Return the names of the public classes that have instances."""
    named = {name: getattr(module, name) for name in module.__all__}
    return {
        name
        for name, value in named.items()
        if isinstance(value, type)
        and not issubclass(value, Enum | dict)
        and not getattr(value, "_is_protocol", False)
        and not hasattr(value, "__total__")
    }


def test_public_objects_show_no_secrets() -> None:
    """repr, str and format of public objects, and of lists and tracebacks that have them."""
    made = objects(f"nats://bob:{MARK}@127.0.0.1:4222")
    covered = {kind.__name__ for each in made for kind in type(each).__mro__} | UNLISTED
    assert public_classes(weenats) - covered - {"Entity"} == set()
    for each in made:
        assert_hidden(f"{each!r} {each} {[each]}")
        assert_hidden("" if not isinstance(each, BaseException) else exception_text(each))
        for name, value in inspect.getmembers(type(each), inspect.isfunction):
            if name in {"describe", "explain", "label"}:
                assert_hidden(repr(value(each)))


def shown_fields() -> Iterator[tuple[str, str]]:
    """Yield the fields, with their types, of all records whose repr Python makes."""
    for each in pkgutil.walk_packages(weenats.__path__, "weenats."):
        for kind in vars(import_module(each.name)).values():
            if not isinstance(kind, type) or kind.__module__ != each.name:
                continue
            types = inspect.get_annotations(kind)
            names: list[str] = []
            if is_dataclass(kind) and kind.__dataclass_params__.repr:  # type: ignore[attr-defined]
                names = [part.name for part in fields(kind) if part.repr]
            elif getattr(kind.__repr__, "__module__", "") == "collections":
                names = [*types]
            yield from ((f"{each.name}.{kind.__name__}.{n}", str(types.get(n))) for n in names)


def test_records_with_messages_do_not_show_them() -> None:
    """No repr that Python makes has a field of bytes, which are messages and their headers."""
    named = dict(shown_fields())
    assert "weenats.streams.dead_letters.DeadLetter.reason" in named
    assert [name for name, kind in named.items() if re.search(r"\bbytes\b", kind)] == []


def test_event_data_and_replies_do_not_show_what_they_hold() -> None:
    """Event data, replies of instances and decisions show no data, also if it is no model."""
    instance = PingResponse.model_construct(id="1")
    for each in (
        EventData(event=HAPPENED, data={MARK: MARK}),
        InstanceReply(instance, None, {MARK: MARK}),
        Decision(({MARK: MARK},), MARK),
    ):
        assert_hidden(repr(each))


def refusals() -> Iterator[Any]:
    """Yield calls that refuse marked values."""
    run, event = OperationCodec(RUN), EventCodec(HAPPENED)
    bad_event = Happened.model_construct(text=[MARK])
    context = make_context()
    entity = Entity.model_construct(
        id=AggregateId(type="thing", key="k"), state=Thing.model_construct(text=[MARK]), revision=1
    )
    requests = [
        {"command": {"action": [MARK]}},
        {"command": {MARK: 1, "action": 5}},
        {"command": MARK},
        {"command": {"action": "a"}, "later": float("nan"), "x": MARK},
    ]
    yield from (run.decode_request(dump(request(**each))).read_payload for each in requests)
    yield lambda: run.decode_request(dump(request(metadata={"messageId": MARK})))
    yield lambda: run.decode_request(f'{{"aggregateId": {{"key": "{MARK}'.encode())
    yield lambda: run.encode_request(make_context(metadata_context={MARK: float("nan")}))
    yield lambda: run.encode_request(make_context(payload=Login.model_construct(password=MARK)))
    yield lambda: run.encode_success(Outcome.model_construct(text=[MARK]), 1, context)
    yield lambda: OperationCodec(GET).encode_success(entity, 1, context)
    yield lambda: OperationCodec(FORGET).encode_success(MARK, 1, context)
    yield lambda: run.decode_response(dump({"success": True, "result": {"text": [MARK]}}))
    yield lambda: run.decode_response(f'{{"success": true, "{MARK}'.encode())
    yield lambda: event.encode("k", bad_event, 1, context)
    yield lambda: event.encode(f"\n{MARK}", Happened(text="x"), 1, context)
    yield lambda: event.decode(dump({"data": {"whatText": [MARK]}, "metadata": METADATA}))
    yield lambda: event.decode(f'{{"{MARK}": '.encode())
    yield lambda: decode_model(HealthCheck, dump({"type": MARK, "data": {MARK: MARK}}))
    yield lambda: Login(password=MARK)
    yield lambda: Login.model_validate({"password": [MARK]})
    yield lambda: JwtAuthConfig(algorithms=["HS256"], secret=MARK)
    yield lambda: ConnectionOptions(user="bob", password=MARK, auth_token=MARK)
    yield lambda: NatsTransport(f"http://bob:{MARK}@127.0.0.1")


@pytest.mark.parametrize("refused", [*refusals()])
def test_refusals_show_no_values(refused: Any) -> None:
    """Neither an error nor those that it is chained to show what was refused."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of many kinds
        refused()
    error = raised.value
    assert_hidden(exception_text(error))
    if isinstance(error, InvalidArgumentError):
        assert_hidden(repr(error.details))


def test_models_in_lists_and_maps_hide_their_members() -> None:
    """A list or map shows its keys and texts; models in it hide what they always hide."""
    login = Login.model_construct(password=MARK)
    assert_hidden(repr([login]) + repr({"key": login}))


def test_errors_of_other_types_hide_values_if_their_configuration_says_so() -> None:
    """The outermost type decides for pydantic whether a ValidationError shows values."""
    hiding = ConfigDict(hide_input_in_errors=True)
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(list[Login], config=hiding).validate_python([{"password": f"x{MARK}"}])
    assert_hidden(exception_text(raised.value) + repr(raised.value.errors(include_input=False)))


@pytest.mark.parametrize("how", ["bad", "worse"])
def test_validators_of_users_are_not_quoted(how: str) -> None:
    """The text of an exception of a validator may have the value."""
    codec = OperationCodec(weenats.Command(
        name="login", contract=CONTRACT, payload=Login, result=Outcome, description="Log in.",
    ))  # fmt: skip
    data = dump(request(command={"password": f"{how} {MARK}"}))
    with pytest.raises(InvalidArgumentError, match="Input is refused by a validator") as raised:
        codec.decode_request(data).read_payload()
    assert_hidden(exception_text(raised.value) + repr(raised.value.details))


def handlers() -> Probe:
    """Return handlers that fail in many ways, all with marked values."""
    probe = Probe()

    async def breach(*_: object) -> Outcome:
        return Outcome.model_construct(text=[MARK])

    async def other(*_: object) -> Any:
        return MARK

    async def invalid(*_: object) -> Outcome:
        Login(password=MARK)
        raise AssertionError

    async def details(*_: object) -> Outcome:
        raise InvalidArgumentError("text", details={"x": {MARK}})

    async def event(key: str, command: Run, context: RequestContext) -> Outcome:
        await probe.publish_happened(key, Happened(text=MARK), revision=1)
        await probe.publish_happened(key, Happened.model_construct(text=[MARK]), revision=1)
        return Outcome(text=command.action)

    for action in (breach, other, invalid, details, event):
        probe.actions[action.__name__] = action
    return probe


async def scenario(url: str, log: Log) -> None:
    """Serve, call, publish and fail, with marked values everywhere."""
    builder = (
        NatsServiceBuilder(handlers(), url)
        .with_auth(JwtAuthConfig(algorithms=["HS256"], secret=SECRET, audience="probe"))
        .with_rate_limit(max_requests_per_second=1000)
        .with_circuit_breaker(1000)
        .with_telemetry(sampling=EVERYTHING, attributes="full")
        .with_monitoring()
        .with_health(custom_checks=[{"name": "sick", "check": lambda: False}])
    )
    events: list[ReceivedEvent[Happened]] = []

    async def on_event(received: ReceivedEvent[Happened]) -> None:
        events.append(received)
        log.lines.append(repr(received))
        Login(password=received.data.text)

    settings = TelemetrySettings(sampling=EVERYTHING, attributes="full")
    async with builder.build() as service, ProbeClient.connect(url) as plain:
        log.lines += [repr(service), repr(builder.explain()), repr(plain)]
        client = plain.with_telemetry(settings).with_context(note=MARK).with_header("X", MARK)
        async with await client.subscribe_happened(on_event):
            for token in (TOKEN, f"{TOKEN}x", MARK):
                for action in ("breach", "other", "invalid", "details", "event", MARK):
                    with suppress(ServiceError):
                        await client.run("k", Run(action=action), token=token)
            for data in ({"whatText": [MARK]}, {MARK: 1}, MARK):
                body = {"id": METADATA["messageId"], "type": "happened", "revision": 1,
                        "aggregate": {"type": "thing", "key": "k"},
                        "timestamp": METADATA["timestamp"], "data": data}  # fmt: skip
                client.transport.publish(HAPPENED.subject, dump(body))
            await until(lambda: log.text().count("does not match the contract") >= 3)
            await until(lambda: len(events) >= 1)
        raw = dump(request(command={MARK: MARK}, metadata=METADATA))
        await client.transport.request(RUN.subject, raw, b"", soon())
        log.lines += [
            repr(await client.get_service_stats()),
            repr(await client.get_service_info()),
            repr(await client.list_instances()),
            repr(await client.check_health()),
        ]


async def test_running_service_shows_no_secrets(log: Log) -> None:
    """Logs with tracebacks, spans, metrics and statistics, while everything fails that can."""
    with recording() as observed, NatsServer(config=ACCOUNT) as server:
        url = server.url.replace("nats://", f"nats://bob:{MARK}@")
        await scenario(url, log)
        with pytest.raises(ServiceError) as refused:
            await NatsTransport(url.replace(f"{MARK}@", f"{MARK}x@")).connect()
        log.lines.append(exception_text(refused.value))
        assert_hidden(observed.text())
    assert "broke its contract" in log.text()
    assert_hidden(log.text())


@pytest.mark.parametrize("verb", ["services", "top --once", "call probe run k"])
@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
async def test_failing_commands_show_no_passwords(
    capsys: pytest.CaptureFixture[str], verb: str, options: list[str]
) -> None:
    """A refused or unreachable connection is reported without what its URL has."""
    with NatsServer(config=ACCOUNT) as server:
        url = server.url.replace("nats://", f"nats://bob:{MARK}x@")
        arguments = [*verb.split(), "--servers", url, *options]
        assert await asyncio.to_thread(main, arguments) == 1
    captured = capsys.readouterr()
    assert "refused the credentials" in captured.err
    assert_hidden(captured.out + captured.err)


def test_search_finds_secrets() -> None:
    """The search sees what is within a text, and in the context of an exception."""
    error = ValueError()
    error.__context__ = KeyError(MARK)
    for text in (f"x{MARK}y", f"x{TOKEN}y", exception_text(error)):
        with pytest.raises(AssertionError):
            assert_hidden(text)
