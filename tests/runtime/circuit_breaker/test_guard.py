"""Which outcomes of a handler are failures, which are answers, and which say nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest

from testkit.contexts import make_context
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
from weenats.circuit_breaker import HandlerGuard
from weenats.errors import CLASS_OF_CODE, Code

FAILURES = (Code.INTERNAL, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
TIMED_OUT = {"deadline": monotonic() - 1}


class BusyError(UnavailableError):
    """A declared error with a code that is a failure elsewhere."""

    name = "busy"


class WorseError(NotReadyError):
    """A subclass of a declared error: the contract does not know it."""


def verdict(error: BaseException, guard: Any = None, **context: Any) -> str:
    """Return what a half-open breaker makes of it: the next state, or that the place is free."""
    circuit = ManualBreaker()
    operation = replace(RUN, errors=(*RUN.errors, BusyError))
    each = HandlerGuard(circuit.breaker, operation, guard)
    circuit.fail(3)
    circuit.pass_time(30)
    ended(each, make_context(side="server", operation=operation, **context), error)
    if circuit.state == "half-open":
        circuit.breaker.admit()
        return "nothing"
    return {"open": "failure", "closed": "answer"}[circuit.state]


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError(), TimeoutError(), ExceptionGroup("x", [OSError()])]
)
def test_what_is_no_service_error_is_a_failure(error: Exception) -> None:
    """Whatever a handler raises by mistake."""
    assert verdict(error) == "failure"


@pytest.mark.parametrize("code", Code)
def test_three_codes_are_failures(code: Code) -> None:
    """INTERNAL, UNAVAILABLE and DEADLINE_EXCEEDED; with any other code the handler has answered."""
    assert verdict(CLASS_OF_CODE[code]()) == ("failure" if code in FAILURES else "answer")


@pytest.mark.parametrize("kind", [NoRespondersError, ConnectionLostError, DeadlineExceededError])
def test_what_a_nested_call_raised_counts(kind: type[ServiceError]) -> None:
    """A service behind this one that fails makes this one fail."""
    error = kind("from behind")
    error.remote = True
    assert verdict(error) == "failure"


@pytest.mark.parametrize(
    "error", [PartMissingError(details=MissingDetails(part="x")), NotReadyError(), BusyError()]
)
def test_declared_errors_are_answers(error: ServiceError) -> None:
    """Whatever their code."""
    assert verdict(error) == "answer"


@pytest.mark.parametrize("error", [UndeclaredError(), WorseError()])
def test_errors_that_another_contract_declares_are_failures(error: ServiceError) -> None:
    """They reach callers as INTERNAL: a defect."""
    assert verdict(error) == "failure"


def test_a_cancelled_call_says_nothing() -> None:
    """Somebody else's decision, with time left or without a deadline."""
    assert verdict(asyncio.CancelledError()) == "nothing"
    assert verdict(asyncio.CancelledError(), deadline=monotonic() + 60) == "nothing"


def test_a_handler_cancelled_at_its_deadline_is_a_failure() -> None:
    """It ran out of time."""
    assert verdict(asyncio.CancelledError(), **TIMED_OUT) == "failure"


@pytest.mark.parametrize("error", [SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_the_end_of_the_process_says_nothing(error: BaseException) -> None:
    """What ends handlers from outside is no outcome of theirs."""
    assert verdict(error) == "nothing"


def test_a_payload_that_breaks_the_contract_says_nothing() -> None:
    """The handler was never asked; the same error from a handler is an answer."""
    error = InvalidArgumentError()
    assert verdict(error, payload_error=error) == "nothing"
    assert verdict(InvalidArgumentError(), payload_error=error) == "answer"


@pytest.mark.parametrize("says", [True, False, 1, "", None])
@pytest.mark.parametrize("error", [ValueError(), NotReadyError(), InternalError()])
def test_is_failure_has_the_word(error: Exception, says: Any) -> None:
    """On every exception of a handler, declared errors included; its truth is what counts."""
    assert verdict(error, lambda _: says) == ("failure" if says else "answer")


@pytest.mark.parametrize("says", [True, False])
def test_is_failure_is_not_asked_of_what_is_no_exception_of_a_handler(says: bool) -> None:
    """Cancellation, deadlines and bad payloads are judged without it."""
    asked: list[Exception] = []

    def is_failure(error: Exception) -> bool:
        asked.append(error)
        return says

    error = InvalidArgumentError()
    assert verdict(error, is_failure, payload_error=error) == "nothing"
    assert verdict(asyncio.CancelledError(), is_failure) == "nothing"
    assert verdict(asyncio.CancelledError(), is_failure, **TIMED_OUT) == "failure"
    assert verdict(SystemExit(), is_failure) == "nothing"
    assert asked == []


def test_is_failure_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, the default judges, and it is asked again about the next exception."""
    circuit = ManualBreaker(failure_threshold=100)

    def is_failure(error: Exception) -> bool:
        if isinstance(error, NotReadyError):
            return True
        raise LookupError("broken")

    guard = HandlerGuard(circuit.breaker, RUN, is_failure)
    for error in (ValueError(), PartMissingError(details=MissingDetails(part="x"))) * 5:
        ended(guard, make_context(), error)
    assert circuit.failures == 5
    assert [record.name for record in caplog.records] == ["weenats.circuit_breaker"]
    assert "LookupError: broken" in caplog.text
    assert RUN.subject in caplog.text
    ended(guard, make_context(), NotReadyError())
    assert circuit.failures == 6
