"""Fixtures: running wallets, which are kept in a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from testkit.wallets import Wallets, builder, client


@pytest.fixture
def handlers() -> Wallets:
    """The handlers of the running instance."""
    return Wallets()


@pytest.fixture
async def service(nats_url: str, handlers: Wallets) -> AsyncIterator[Any]:
    """A running instance."""
    async with builder(nats_url, handlers).build() as running:
        yield running


@pytest.fixture
async def caller(nats_url: str, service: Any) -> AsyncIterator[Any]:
    """A client of the running instance."""
    del service
    async with client(nats_url) as connected:
        yield connected


@pytest.fixture
def key() -> str:
    """The key of a wallet that no other test uses."""
    return f"w-{uuid4()}"
