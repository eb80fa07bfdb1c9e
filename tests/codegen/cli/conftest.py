"""Fixtures of the command line tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from testkit.cli_service import TARGET, weenats_run
from weenats import ConnectionOptions
from weenats.protocol.timeouts import seconds
from weenats.testing import NatsServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to nats-servers are given up after 0.02 seconds instead of 5."""
    check = ConnectionOptions.__post_init__

    def shorten(options: ConnectionOptions) -> None:
        object.__setattr__(options, "connect_timeout", min(seconds(options.connect_timeout), 0.02))
        check(options)

    monkeypatch.setattr(ConnectionOptions, "__post_init__", shorten)


@pytest.fixture(scope="module")
def receipts_url(repository: Path) -> Iterator[str]:
    """Server URL of the sample, served by `weenats run`."""
    with NatsServer() as server, weenats_run(TARGET, "--servers", server.url, cwd=repository):
        yield server.url
