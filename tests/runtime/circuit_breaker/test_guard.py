"""Which outcomes of a handler count as failures, as successes, or not at all."""

from __future__ import annotations

import asyncio
import binascii
import csv
import gzip
import re
import socket
import sqlite3
import ssl
import struct
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from datetime import datetime
from decimal import DivisionUndefined
from errno import EINVAL, ENAMETOOLONG, ENOENT, ENOSPC
from time import monotonic
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from testkit.contexts import Refusing, make_context, make_served_request
from testkit.manual_breaker import ManualBreaker, ended
from testkit.probe import RUN, MissingDetails, NotReadyError, PartMissingError, UndeclaredError
from weenats import (
    ConnectionLostError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NoRespondersError,
    ServiceError,
    UnavailableError,
)
from weenats.aggregates.errors import AggregateBreachError, BrokenHistoryError
from weenats.circuit_breaker import HandlerGuard
from weenats.codec.operations import ContractBreachError
from weenats.errors import CLASS_OF_CODE, Code

FAILURES = (Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
TIMED_OUT = {"deadline": monotonic() - 1}


class BusyError(UnavailableError):
    """A declared error whose code counts as a failure otherwise."""

    name = "busy"


class SubclassedError(NotReadyError):
    """A subclass of a declared error, which the contract does not declare."""


def verdict(error: BaseException, guard: Any = None, operation: Any = RUN, **context: Any) -> str:
    """Return what a half-open breaker makes of an error: "failure", "answer" or "nothing"."""
    circuit = ManualBreaker()
    operation = replace(operation, errors=(*RUN.errors, BusyError))
    each = HandlerGuard(circuit.breaker, operation, guard)
    circuit.fail(3)
    circuit.pass_time(30)
    ended(each, make_context(side="server", operation=operation, **context), error)
    if circuit.state == "half-open":
        circuit.breaker.admit()
        return "nothing"
    return {"open": "failure", "closed": "answer"}[circuit.state]


class DriverError(Exception):
    """An error of a database driver."""


class IntegrityError(DriverError):
    """An error of a database driver, as PEP 249 names it."""


class DuplicateKeyError(IntegrityError):
    """One of its subclasses."""


class UniqueViolationError(DriverError):
    """An error of a driver with names of its own."""

    sqlstate = "23505"


class UniqueIndexError(UniqueViolationError):
    """One of its subclasses."""


class InvalidTextError(DriverError):
    """Another error of it about a value."""

    sqlstate = "22P02"


class NumberedError(DriverError):
    """An error of a driver whose member of this name is something else."""

    sqlstate = 23505


class LockedError(DriverError):
    """An error of a driver about the state of the database."""

    sqlstate = "55P03"


class ParserError(SyntaxError):
    """An error of a parser."""


def unreadable(name: str) -> Exception:
    """Return an error with a property that raises."""

    def fail(_: object) -> None:
        raise LookupError

    kind = type("UnreadableError", (NotReadyError,), {name: property(fail)})
    return kind.__new__(kind)  # its constructor would set what it cannot


@pytest.mark.parametrize(
    "error",
    [
        OSError(), TimeoutError(), ConnectionResetError(), socket.gaierror(), RuntimeError(),
        Exception(), OSError(ENOSPC, "full"), FileNotFoundError(ENOENT, "no socket"), DriverError(),
        NumberedError(),
        ssl.SSLCertVerificationError(), sqlite3.OperationalError(), BrokenProcessPool(),
        LockedError(), asyncio.IncompleteReadError(b"", 4),
        ExceptionGroup("x", [OSError()]), ExceptionGroup("x", [ValueError(), UnavailableError()]),
    ],
)  # fmt: skip
def test_unexpected_exception_is_a_failure(error: Exception) -> None:
    """Exceptions that do not depend on the values of the request count as failures."""
    assert verdict(error) == "failure"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), KeyError(), IndexError(), TypeError(), AttributeError(), AssertionError(),
        ZeroDivisionError(), DivisionUndefined(), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
        RecursionError(), ExceptionGroup("x", [ExceptionGroup("x", [ValueError()]), KeyError()]),
        MemoryError(), EOFError(), UnboundLocalError(), NotImplementedError(), re.error("x"),
        zlib.error(), binascii.Error(), struct.error(), csv.Error(), ET.ParseError(),
        gzip.BadGzipFile(), FileNotFoundError(ENOENT, "x", "file"), OSError(ENAMETOOLONG, "x", "f"),
        ContractBreachError(RUN, None), AggregateBreachError("x"), OSError(EINVAL, "x"),
        sqlite3.IntegrityError(), sqlite3.DataError(), DuplicateKeyError(), UniqueIndexError(),
        UniqueViolationError(), InvalidTextError(),
        BrokenHistoryError("x"), ParserError(), unreadable("code"), unreadable("remote"),
    ],
)  # fmt: skip
def test_exception_about_a_value_is_not_counted(error: Exception) -> None:
    """A caller can provoke them with a key or a payload, which says nothing about the others."""
    assert verdict(error) == "nothing"


async def first_of_none() -> object:
    """Look for something that does not exist, as `next(each for each in rows if ...)` does."""
    return next(iter(()))


@pytest.mark.parametrize(
    "handle", [first_of_none, lambda: asyncio.to_thread(datetime.fromtimestamp, 1e17)]
)
async def test_value_that_python_does_not_report_as_one_is_not_counted(
    handle: Callable[[], Awaitable[object]],
) -> None:
    """What a handler finds nothing for, and a time that is too far away, are values of callers."""
    with pytest.raises((RuntimeError, OSError)) as raised:
        await handle()
    assert verdict(raised.value) == "nothing"


def test_internal_error_of_a_nested_call_is_not_counted() -> None:
    """A caller may have provoked it there; the breaker of that service knows."""
    error = InternalError()
    error.remote = True
    assert verdict(error) == "nothing"


@pytest.mark.parametrize("code", Code)
def test_failure_codes(code: Code) -> None:
    """Only INTERNAL, UNAVAILABLE and DEADLINE_EXCEEDED count as failures."""
    assert verdict(CLASS_OF_CODE[code]()) == ("failure" if code in FAILURES else "answer")


@pytest.mark.parametrize("kind", [NoRespondersError, ConnectionLostError, DeadlineExceededError])
def test_errors_of_nested_calls_are_failures(kind: type[ServiceError]) -> None:
    """A failing downstream service makes the handler fail."""
    error = kind("from behind")
    error.remote = True
    assert verdict(error) == "failure"


@pytest.mark.parametrize(
    "error", [PartMissingError(details=MissingDetails(part="x")), NotReadyError(), BusyError()]
)
def test_declared_errors_are_not_failures(error: ServiceError) -> None:
    """Declared errors are answers, whatever their code."""
    assert verdict(error) == "answer"


@pytest.mark.parametrize("error", [UndeclaredError(), SubclassedError()])
def test_undeclared_errors_count_by_their_code(error: ServiceError) -> None:
    """Their callers get INTERNAL, and yet the handler answered the request of a caller."""
    assert verdict(error) == "answer"


def test_cancelled_call_is_not_counted() -> None:
    """A cancellation before the deadline counts neither as failure nor as success."""
    assert verdict(asyncio.CancelledError()) == "nothing"
    assert verdict(asyncio.CancelledError(), deadline=monotonic() + 60) == "nothing"


def test_cancellation_at_the_deadline_is_a_failure() -> None:
    """A handler that is cancelled at its deadline ran out of time."""
    assert verdict(asyncio.CancelledError(), **TIMED_OUT) == "failure"


def verdict_after(
    seconds: float, error: BaseException, own: float | None = None, used: float = 1
) -> str:
    """Return what is made of an error of a handler that used a share of some seconds."""
    operation = replace(RUN, timeout=own)
    job, _ = make_served_request(operation)
    job.started = monotonic() - seconds * used
    deadline = job.started + seconds
    return verdict(error, operation=operation, work=job, deadline=deadline)


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), DeadlineExceededError(), TimeoutError(), OSError(), InternalError()],
)
@pytest.mark.parametrize(
    ("own", "had", "counts"),
    [
        (None, 5, True), (None, 4.99, True), (None, 0.005, False), (None, 4, False),
        (1, 1, True), (1, 60, True), (1, 0.5, False), (60, 5, False),
    ],
)  # fmt: skip
def test_deadline_counts_if_the_handler_had_its_time(
    error: BaseException, own: float | None, had: float, counts: bool
) -> None:
    """What fails at a deadline below that of the operation counts neither way."""
    assert verdict_after(had, error, own) == ("failure" if counts else "nothing")


@pytest.mark.parametrize("error", [UnavailableError(), InternalError(), OSError(), DriverError()])
@pytest.mark.parametrize(
    ("own", "had", "used", "counts"),
    [
        (None, 200, 0.6, True), (300, 200, 0.9, False), (300, 200, 0.6, False),
        (300, 200, 0.3, True), (300, 300, 0.9, True),
    ],
)  # fmt: skip
def test_failure_late_in_a_shortened_time_is_not_counted(
    error: BaseException, own: float | None, had: float, used: float, counts: bool
) -> None:
    """A failure counts in the first half of a time that the caller made shorter, not later."""
    assert verdict_after(had, error, own, used) == ("failure" if counts else "nothing")


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_process_exit_is_not_counted(error: BaseException) -> None:
    """SystemExit, KeyboardInterrupt and GeneratorExit are not outcomes of the handler."""
    assert verdict(error) == "nothing"


def test_invalid_payload_is_not_counted() -> None:
    """The handler was not called; the same error raised by the handler is an answer."""
    error = InvalidArgumentError()
    assert verdict(error, received=Refusing(error)) == "nothing"
    assert verdict(InvalidArgumentError(), received=Refusing(error)) == "answer"


@pytest.mark.parametrize("says", [True, False, 1, "", None])
@pytest.mark.parametrize("error", [ValueError(), NotReadyError(), InternalError()])
def test_is_failure_overrides_the_default(error: Exception, says: Any) -> None:
    """is_failure decides about every handler exception by its truth value."""
    assert verdict(error, lambda _: says) == ("failure" if says else "answer")


@pytest.mark.parametrize("says", [True, False])
def test_is_failure_is_called_for_handler_exceptions_only(says: bool) -> None:
    """Cancellations, deadlines and invalid payloads do not reach is_failure."""
    asked: list[Exception] = []

    def is_failure(error: Exception) -> bool:
        asked.append(error)
        return says

    error = InvalidArgumentError()
    assert verdict(error, is_failure, received=Refusing(error)) == "nothing"
    assert verdict(asyncio.CancelledError(), is_failure) == "nothing"
    assert verdict(asyncio.CancelledError(), is_failure, **TIMED_OUT) == "failure"
    assert verdict(SystemExit(), is_failure) == "nothing"
    assert asked == []


@pytest.mark.parametrize("kind", [LookupError, asyncio.CancelledError, GeneratorExit])
def test_failing_is_failure_falls_back_to_the_default(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of is_failure is logged, and it is still called for later errors."""
    circuit = ManualBreaker(failure_threshold=100)

    def is_failure(error: Exception) -> bool:
        if isinstance(error, NotReadyError):
            return True
        raise kind("broken")

    guard = HandlerGuard(circuit.breaker, RUN, is_failure)
    for error in (OSError(), PartMissingError(details=MissingDetails(part="x"))) * 5:
        ended(guard, make_context(), error)
    assert circuit.failures == 5
    assert {record.name for record in caplog.records} == {"weenats.circuit_breaker"}
    assert f"{kind.__name__}: broken" in caplog.text
    assert RUN.subject in caplog.text
    ended(guard, make_context(), NotReadyError())
    assert circuit.failures == 6
