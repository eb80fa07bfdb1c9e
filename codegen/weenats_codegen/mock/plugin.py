"""The pytest fixture `mock_service`; see the guide of mocks.

Enable it, and that of the server, by
`pytest_plugins = ["weenats.testing.plugin", "weenats_codegen.mock.plugin"]` in conftest.py.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from pathlib import Path

import pytest

from weenats_codegen.mock.mock import Mock

__all__ = ["mock_service"]


@pytest.fixture
def mock_service(nats_url: str) -> Callable[[str | Path], AbstractAsyncContextManager[Mock]]:
    """Function that serves a mock of the contract in a folder, on the server `nats_url`."""

    @asynccontextmanager
    async def serve(folder: str | Path) -> AsyncGenerator[Mock]:
        mock = _mock(str(folder))
        mock.reset()
        mock.latency = 0.0
        async with mock.serve(nats_url):
            yield mock

    return serve


@lru_cache(maxsize=32)
def _mock(folder: str) -> Mock:
    """Return the mock of a contract, whose package takes a second to make."""
    return Mock(Path(folder))
