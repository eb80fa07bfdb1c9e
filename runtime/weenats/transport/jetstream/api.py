"""Requests to the JSON API of JetStream."""

from __future__ import annotations

import asyncio
import json
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from pydantic_core import from_json

from weenats._internal.tasks import retrieve, start_task
from weenats.errors import DeadlineExceededError, NoRespondersError
from weenats.transport.jetstream.errors import (
    JetStreamMissingError,
    JetStreamUnavailableError,
    api_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from pydantic import JsonValue

    from weenats.transport.base import Delivery, Transport

__all__ = ["PREFIX", "call", "foreign", "parse", "read", "silent"]
T = TypeVar("T")
SourceT = TypeVar("SourceT")
ResultT = TypeVar("ResultT")
PREFIX: Final = "$JS.API."
"""The beginning of the subjects of the API."""
_NOT_ENABLED: Final = b'"err_code":10039'
"""In the answer of an account that has no JetStream."""
_NO_LEADER: Final = b'"err_code":10008'
"""In the answer of a server that has had no leader for some seconds."""
_IMPORT_PATIENCE: Final = 0.25
"""How long the answer of another account may come after that, in seconds."""


async def call(  # noqa: PLR0913 - the parts of a request
    transport: Transport,
    operation: str,
    body: Mapping[str, JsonValue],
    *,
    what: str,
    timeout: float,
    again: float | None = None,
) -> dict[str, Any]:
    """Send a request to the API.

    Args:
        transport: the connection.
        operation: the subject after `PREFIX`.
        body: the request.
        what: what is asked for, which errors name.
        timeout: the time limit in seconds.
        again: after how many seconds without an answer it is sent again, as nobody keeps it while
            there is no leader; None for never.

    Returns:
        The response.

    Raises:
        JetStreamMissingError: JetStream is not enabled for the connection.
        JetStreamUnavailableError: it does not answer in time.
        ServiceError: see Transport.request and `errors`.
    """
    payload = json.dumps(body).encode() if body else b""
    try:
        answer = await _answer(transport, PREFIX + operation, payload, monotonic() + timeout, again)
    except NoRespondersError:
        raise JetStreamMissingError(f"{what}: {JetStreamMissingError.description}") from None
    except DeadlineExceededError:
        raise silent(what) from None
    return parse(answer.payload, what)


async def _answer(
    transport: Transport, subject: str, payload: bytes, deadline: float, again: float | None
) -> Delivery:
    """Return the answer to a request.

    An account that imports the API of another one answers too: that it has no JetStream itself.
    Where a request may be sent again, a leader that is elected meanwhile answers it.
    """
    refusals: list[Delivery] = []
    patience = asyncio.timeout(None)

    def accepts(answer: Delivery) -> bool:
        if again is not None and _NO_LEADER in answer.payload:
            refusals[:] = [answer]
            return False
        if _NOT_ENABLED not in answer.payload:
            return True
        if not refusals:
            refusals.append(answer)
            patience.reschedule(asyncio.get_running_loop().time() + _IMPORT_PATIENCE)
        return False

    try:
        async with patience:
            return await _first_answer(
                lambda: transport.request(subject, payload, b"", deadline, accepts), again
            )
    except (TimeoutError, DeadlineExceededError):
        if not refusals:
            raise
        return refusals[0]


async def _first_answer(ask: Callable[[], Coroutine[Any, Any, T]], again: float | None) -> T:
    """Return what the first of several requests is answered, or raise what it fails with.

    Args:
        ask: sends a request and returns its answer.
        again: the seconds between two requests; None for a single one.
    """
    if again is None:
        return await ask()
    asking: set[asyncio.Task[T]] = set()
    try:
        while True:
            asking.add(start_task(ask()))
            done, _ = await asyncio.wait(asking, timeout=again, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return done.pop().result()
    finally:
        for each in asking:
            each.cancel()
            each.add_done_callback(retrieve)


def parse(payload: bytes, what: str) -> dict[str, Any]:
    """Return a response of the API.

    Args:
        payload: the payload.
        what: what was asked for, which errors name.

    Raises:
        JetStreamUnavailableError: it is not a response of the API.
        ServiceError: it has an error, see `errors`.
    """
    try:
        response: object = from_json(payload)
    except ValueError:
        response = None
    if not isinstance(response, dict):
        raise foreign(what)
    members = cast("dict[str, Any]", response)
    error: object = members.get("error")
    if error is None:
        return members
    if not isinstance(error, dict):
        raise foreign(what)
    raise api_error(cast("dict[str, Any]", error), what)


def read(function: Callable[[SourceT], ResultT], source: SourceT, what: str) -> ResultT:
    """Return what a function makes of an answer, which another party may have sent.

    Args:
        function: reads the answer.
        source: the answer.
        what: what was asked for, which errors name.

    Raises:
        JetStreamUnavailableError: members are missing, or have other types than those of JetStream.
    """
    try:
        return function(source)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        raise foreign(what) from None


def foreign(what: str) -> JetStreamUnavailableError:
    """Return the error for an answer that is not one of JetStream.

    Args:
        what: what was asked for.
    """
    return JetStreamUnavailableError(f"{what}: the answer does not come from JetStream")


def silent(what: str) -> JetStreamUnavailableError:
    """Return the error for JetStream that is reached, but does not answer in time.

    Args:
        what: what was asked for.
    """
    return JetStreamUnavailableError(
        f"{what}: JetStream does not answer: it, or the stream, may have no leader now"
    )
