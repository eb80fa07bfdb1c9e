"""The event loop of programs that serve."""

from __future__ import annotations

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from testkit.probe import Probe
from weenats import NatsServiceBuilder
from weenats.service import run
from weenats.service.event_loop import event_loop_name
from weenats.service.threads import HandlerThreads
from weenats.testing import MemoryTransport


async def _serve() -> tuple[str, object]:
    """Serve for a moment; return the package of the event loop, and what runs blocking work."""
    loop = asyncio.get_running_loop()
    async with NatsServiceBuilder(Probe(), transport=MemoryTransport()).build():
        pass
    used: list[object] = []
    submit = ThreadPoolExecutor.submit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            ThreadPoolExecutor,
            "submit",
            lambda self, *arguments, **named: (
                used.append(type(self)) or submit(self, *arguments, **named)
            ),
        )
        await asyncio.to_thread(int)
    return event_loop_name(loop), used[0]


def test_uvloop_is_used_if_installed(caplog: pytest.LogCaptureFixture) -> None:
    """With uvloop programs run on it, with the threads of handlers; the log says so."""
    pytest.importorskip("uvloop")
    caplog.set_level(logging.INFO, "weenats.service")
    assert run(_serve()) == ("uvloop", HandlerThreads)
    assert caplog.messages[0].endswith(" on uvloop")


def test_asyncio_is_used_without_uvloop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without uvloop programs run on the event loop of asyncio; the log says so."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    caplog.set_level(logging.INFO, "weenats.service")
    assert run(_serve()) == ("asyncio", HandlerThreads)
    assert caplog.messages[0].endswith(" on asyncio")
