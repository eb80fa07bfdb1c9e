"""Contract tests: what `check_example` accepts of handlers, and what not."""

from __future__ import annotations

import unittest
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loyalty import COLLECT, GET_CARD
from loyalty.handlers import Loyalty
from receipts import (
    ADD_ITEM,
    FINALIZE,
    GET_RECEIPT,
    ITEM_ADDED,
    AddItem,
    ReceiptNotFoundError,
)
from receipts.handlers import Receipts
from weenats.errors import AlreadyExistsError, InvalidArgumentError, UnimplementedError
from weenats.events import consuming
from weenats.testing import Example, check_example
from weenats.transport.jetstream import StreamMissingError

TEA = {"name": "Tea", "price": 1.5, "quantity": 2}
CARD = "7b5cbb3a-6b3c-4c39-9d0b-5c3e3a0f2f4e"


def failing(error: Exception) -> Receipts:
    """Return handlers whose command fails."""

    class Failing(Receipts):
        async def add_item(self, key: str, command: AddItem, context: Any) -> Any:
            del key, command, context
            raise error

    return Failing()


@pytest.mark.parametrize(
    "example",
    [Example(ADD_ITEM, "r-1", TEA), Example(FINALIZE, "r-1", {}), Example(GET_RECEIPT, "r-1")],
    ids=str,
)
def test_result_and_declared_error(example: Example) -> None:
    """A result that fits is right, and so is an error that the operation declares."""
    check_example(Receipts(), example)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ReceiptNotFoundError(), "INTERNAL"),
        (AlreadyExistsError("x"), "ALREADY_EXISTS"),
        (KeyError("x"), "INTERNAL"),
    ],
)
def test_undeclared_error(error: Exception, code: str) -> None:
    """An error that the operation does not declare fails the test, whatever raises it."""
    with pytest.raises(AssertionError, match=f"add-item answers .*{code}.*InvalidReceiptState"):
        check_example(failing(error), Example(ADD_ITEM, "r-1", TEA))


def test_what_is_not_implemented_is_skipped() -> None:
    """An operation without an implementation skips its test."""
    with pytest.raises(unittest.SkipTest, match="add-item is not implemented yet"):
        check_example(failing(UnimplementedError()), Example(ADD_ITEM, "r-1", TEA))


@pytest.mark.parametrize(
    "example",
    [Example(ADD_ITEM, "r-1", {"name": "Tea"}), Example(GET_CARD, "no-uuid"), Example(ADD_ITEM)],
    ids=str,
)
def test_wrong_example(example: Example) -> None:
    """An example that the contract does not allow is an error of the test."""
    with pytest.raises((ValueError, InvalidArgumentError)):
        check_example(Receipts(), example)


def test_services_that_are_called() -> None:
    """Handlers that call other services are tested together with them."""
    check_example(Loyalty(), Example(COLLECT, CARD, {"receipt": "r-1"}), Receipts())
    with pytest.raises(AssertionError, match="answers UNAVAILABLE"):
        check_example(Loyalty(), Example(COLLECT, CARD, {"receipt": "r-1"}))


class Follower(Loyalty):
    """Consumes the durable events of receipts."""

    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Consume."""
        async with consuming(self.transport, "follower", ITEM_ADDED), super().lifespan():
            yield


def test_service_whose_events_are_consumed() -> None:
    """Handlers that read durable events of another service are tested together with it."""
    example = Example(COLLECT, CARD, {"receipt": "r-1"})
    check_example(Follower(), example, Receipts())
    with pytest.raises(StreamMissingError) as alone:
        check_example(Follower(), example)
    assert "pass the handlers of the other one" in alone.value.__notes__[0]
