"""What the tests of the command line stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testkit.cli_service import TARGET, weenats_run
from weenats.testing import NatsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def receipts_url(repository: Path) -> Iterator[str]:
    """Where a `weenats run` of the sample serves."""
    with NatsServer() as server, weenats_run(TARGET, "--servers", server.url, cwd=repository):
        yield server.url
