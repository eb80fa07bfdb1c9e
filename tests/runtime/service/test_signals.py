"""SIGTERM and SIGINT: callbacks, and restored signal handlers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from testkit.waiting import until
from weenats.service.signals import StopSignals

SIGNALS = (signal.SIGTERM, signal.SIGINT)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def application_handler(number: int, frame: object) -> None:
    """The signal handler of a program that embeds a service."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Install an application's signal handlers; they must be restored after each test."""
    before = {number: signal.signal(number, application_handler) for number in SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == dict.fromkeys(SIGNALS, application_handler)


@pytest.mark.parametrize("number", SIGNALS)
async def test_signal_calls_back_on_the_event_loop(number: signal.Signals) -> None:
    """Each signal calls back, and the previous handler is restored."""
    told: list[str] = []
    with StopSignals(lambda: told.append("stop")):
        assert signal.getsignal(number) is not application_handler
        for times in (1, 2):
            os.kill(os.getpid(), number)
            await until(lambda times=times: len(told) == times)


async def test_one_signal_notifies_all_waiters() -> None:
    """One signal stops all services of the process, also after one has left."""
    told: list[str] = []
    first, second = StopSignals(lambda: told.append("one")), StopSignals(lambda: told.append("two"))
    with second:
        with first:
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: len(told) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(told) == 3)
    assert told == ["two", "one", "two"]


async def test_waiters_can_leave_in_any_order() -> None:
    """Handlers stay while there is a waiter, and can be installed again later."""
    told: list[str] = []
    for _ in range(2):
        first = StopSignals(lambda: told.append("one"))
        second = StopSignals(lambda: told.append("two"))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) is not application_handler
        second.__exit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) is application_handler


async def test_signal_handlers_are_restored_after_an_exception() -> None:
    """The previous handlers are restored however the block is left."""
    with pytest.raises(LookupError), StopSignals(lambda: None):
        raise LookupError


async def test_loop_in_a_thread_does_not_change_signal_handlers() -> None:
    """A service in a thread gets no signals and takes none from the main thread."""
    told: list[str] = []

    async def serve() -> None:
        with StopSignals(lambda: told.append("thread")):
            await asyncio.sleep(0)

    with StopSignals(lambda: told.append("main")):
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        await asyncio.to_thread(thread.join)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: told)
    assert told == ["main"]


def test_default_signal_handlers_are_restored() -> None:
    """A program without own handlers ends on the next SIGTERM or Ctrl-C."""
    program = (
        "import asyncio, signal\n"
        "from weenats.service.signals import StopSignals\n"
        "async def main():\n"
        "    with StopSignals(lambda: None): pass\n"
        "asyncio.run(main())\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
