"""Fixtures for the tests of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testkit.running import TARGET, running
from weenats.testing import NatsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def receipts_url(repository: Path) -> Iterator[str]:
    """The URL of a server on which `weenats run` serves the sample."""
    with NatsServer() as server, running(TARGET, "--servers", server.url, cwd=repository):
        yield server.url
