"""Handlers that are not implemented: callers learn that, the log says where."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient, Run
from weenats import NatsServiceBuilder, UnimplementedError
from weenats.testing import MemoryTransport


async def test_log_names_the_line_once(caplog: pytest.LogCaptureFixture) -> None:
    """The log has file and line of the handler, once for each operation; callers do not."""

    async def stub(*_: Any) -> Any:
        raise UnimplementedError

    transport = MemoryTransport()
    caplog.set_level(logging.WARNING)
    async with NatsServiceBuilder(Probe(stub=stub), transport=transport).build():
        for _ in range(3):
            with pytest.raises(UnimplementedError) as raised:
                await ProbeClient(transport).run("k", Run(action="stub"))
            assert raised.value.message == "The operation is not implemented."
    (record,) = caplog.records
    line = stub.__code__.co_firstlineno + 1
    expected = f"probe.command.thing.run is not implemented: see {__file__}:{line}"
    assert record.getMessage() == expected


async def test_error_of_another_service_is_not_logged_as_a_stub(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A handler that passes on the error of a service that it called is implemented."""

    async def forward(*_: Any) -> Any:
        error = UnimplementedError()
        error.remote = True
        raise error

    transport = MemoryTransport()
    async with NatsServiceBuilder(Probe(forward=forward), transport=transport).build():
        with pytest.raises(UnimplementedError):
            await ProbeClient(transport).run("k", Run(action="forward"))
    [line] = caplog.messages
    assert "passes on UNIMPLEMENTED" in line
