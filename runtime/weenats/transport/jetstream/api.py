"""Requests to the JSON API of JetStream."""

from __future__ import annotations

import json
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic_core import from_json
from typing_extensions import TypeVar

from weenats.errors import NoRespondersError
from weenats.transport.jetstream.errors import (
    JetStreamMissingError,
    JetStreamUnavailableError,
    api_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from weenats.transport.base import Transport

__all__ = ["PREFIX", "call", "parse", "understood"]
InT = TypeVar("InT")
OutT = TypeVar("OutT")
_MALFORMED: Final = (AttributeError, KeyError, TypeError, ValueError, OverflowError)
PREFIX: Final = "$JS.API."
"""The beginning of the subjects of the API."""


async def call(
    transport: Transport,
    operation: str,
    body: Mapping[str, JsonValue],
    *,
    what: str,
    timeout: float,
) -> dict[str, Any]:
    """Send a request to the API.

    Args:
        transport: the connection.
        operation: the subject after `PREFIX`.
        body: the request.
        what: what is asked for, which errors name.
        timeout: the time limit in seconds.

    Returns:
        The response.

    Raises:
        JetStreamMissingError: JetStream is not enabled for the connection.
        ServiceError: see Transport.request and `errors`.
    """
    payload = json.dumps(body).encode() if body else b""
    try:
        answer = await transport.request(PREFIX + operation, payload, b"", monotonic() + timeout)
    except NoRespondersError:
        raise JetStreamMissingError(f"{what}: {JetStreamMissingError.description}") from None
    return parse(answer.payload, what)


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
        raise JetStreamUnavailableError(f"{what}: the answer does not come from JetStream")
    members = cast("dict[str, Any]", response)
    if (error := members.get("error")) is not None:
        raise understood(lambda each: api_error(each, what), error, what)
    return members


def understood(decode: Callable[[InT], OutT], answer: InT, what: str) -> OutT:
    """Return what an answer says; somebody else may have sent it, who has the same account.

    Args:
        decode: returns it.
        answer: the answer.
        what: what was asked for, which errors name.

    Raises:
        JetStreamUnavailableError: the answer does not have the form of the API.
    """
    try:
        return decode(answer)
    except _MALFORMED:
        raise JetStreamUnavailableError(
            f"{what}: the answer does not come from JetStream"
        ) from None
