"""SIGTERM and SIGINT: who is told, and what stands afterwards."""

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


def theirs(number: int, frame: object) -> None:
    """Stand for the handler of a program that embeds a service."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handlers of somebody else, which must be there again after each test."""
    before = {number: signal.signal(number, theirs) for number in SIGNALS}
    yield
    after = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        signal.signal(number, handler)
    assert after == dict.fromkeys(SIGNALS, theirs)


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_calls_back_on_the_loop(number: signal.Signals) -> None:
    """Each signal is told, one after the other, and the handler from before is put back."""
    told: list[str] = []
    with StopSignals(lambda: told.append("stop")):
        assert signal.getsignal(number) is not theirs
        for times in (1, 2):
            os.kill(os.getpid(), number)
            await until(lambda times=times: len(told) == times)


async def test_two_waiters_are_both_told() -> None:
    """One signal stops all services of a process; who leaves first does not silence the other."""
    told: list[str] = []
    first, second = StopSignals(lambda: told.append("one")), StopSignals(lambda: told.append("two"))
    with second:
        with first:
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: len(told) == 2)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(told) == 3)
    assert told == ["two", "one", "two"]


async def test_waiters_may_leave_in_any_order_and_come_again() -> None:
    """The handlers stay as long as anybody waits, and can be installed again afterwards."""
    told: list[str] = []
    for _ in range(2):
        first = StopSignals(lambda: told.append("one"))
        second = StopSignals(lambda: told.append("two"))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) is not theirs
        second.__exit__(None, None, None)
        assert signal.getsignal(signal.SIGTERM) is theirs


async def test_handlers_are_put_back_after_an_exception() -> None:
    """However the block is left, somebody else's handlers are back."""
    with pytest.raises(LookupError), StopSignals(lambda: None):
        raise LookupError


async def test_a_loop_in_a_thread_leaves_the_handlers_alone() -> None:
    """A service in a thread hears no signals, and takes none from the loop of the main thread."""
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


def test_default_handlers_come_back() -> None:
    """A program that set no handlers of its own ends on the next SIGTERM, and on Ctrl-C."""
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
