"""SIGTERM and SIGINT: callbacks, and restored signal handlers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testkit.forks import fork, run_program
from testkit.processes import child_process, python_environment
from testkit.waiting import LIMIT, until
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


async def test_signal_just_before_the_event_loop_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that does not interrupt the wait of the loop calls back soon nevertheless."""
    loop: Any = asyncio.get_running_loop()
    select, noticed = loop._selector.select, asyncio.Event()

    def wait(timeout: float | None) -> object:
        if timeout != 0:  # blocked, it does not interrupt the wait
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            os.kill(os.getpid(), signal.SIGTERM)
        try:
            return select(timeout)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    monkeypatch.setattr(loop._selector, "select", wait)
    with StopSignals(noticed.set):
        await noticed.wait()
    monkeypatch.undo()


FORKING = """
import asyncio, os, signal
from weenats.service.signals import StopSignals

async def main():
    with StopSignals(lambda: None):
        reading, writing = os.pipe()
        worker = os.fork()
        if not worker:
            os.write(writing, b"ready")
            signal.pause()
            os._exit(0)
        os.read(reading, 5)
        os.kill(worker, signal.SIGTERM)
        send(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]))

for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, signal.SIG_DFL)
asyncio.run(main())
"""


async def test_forked_worker_can_be_terminated() -> None:
    """A process that a handler forks, for example a daemon of multiprocessing, ends on SIGTERM."""
    with fork(run_program, FORKING) as child:
        assert await child.receive() == -signal.SIGTERM


@pytest.mark.parametrize("previous", [signal.SIG_IGN, application_handler, signal.SIG_DFL])
async def test_hangup_is_handled_by_default(previous: Any) -> None:
    """SIGHUP calls back, unless the program ignores it (nohup) or uses it for something else."""
    before = signal.signal(signal.SIGHUP, previous)
    told: list[str] = []
    try:
        with StopSignals(lambda: told.append("stop")):
            assert (signal.getsignal(signal.SIGHUP) is previous) == (previous != signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGHUP)
            if previous == signal.SIG_DFL:
                await until(lambda: told == ["stop"])
        assert signal.getsignal(signal.SIGHUP) is previous
    finally:
        signal.signal(signal.SIGHUP, before)


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
        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, LIMIT)
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: told)
    assert told == ["main"]


async def test_default_signal_handlers_are_restored() -> None:
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
    with fork(run_program, program) as child:
        assert await child.wait() == 0


async def test_handlers_of_the_event_loop_survive() -> None:
    """A handler that the application added to the loop runs meanwhile and afterwards."""
    told: list[str] = []
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: told.append("application"))
    try:
        with StopSignals(lambda: told.append("service")):
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: sorted(told) == ["application", "service"])
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: len(told) == 3)
        assert told[2] == "application"
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, application_handler)


async def test_handler_that_was_set_meanwhile_is_kept() -> None:
    """Leaving does not replace a handler that the application has set since."""

    def newer(number: int, frame: object) -> None:
        """Stand for a newer handler."""

    with StopSignals(lambda: None):
        signal.signal(signal.SIGTERM, newer)
    assert signal.getsignal(signal.SIGTERM) is newer
    signal.signal(signal.SIGTERM, application_handler)


async def test_unhandled_signals_only() -> None:
    """Signals that the application handles are left to it."""
    told: list[str] = []

    def stop() -> None:
        told.append("stop")

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with StopSignals(stop, unhandled=True):
        assert signal.getsignal(signal.SIGINT) is application_handler
        with StopSignals(stop):  # entered twice, called once
            os.kill(os.getpid(), signal.SIGTERM)
            await until(lambda: told)
            await asyncio.sleep(0)
    assert told == ["stop"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    signal.signal(signal.SIGTERM, application_handler)


async def test_signal_after_an_event_loop_that_never_left() -> None:
    """A signal that is meant for a loop which has ended gets to the previous handler."""
    program = (
        "import asyncio, signal, sys\n"
        "from weenats.service.signals import StopSignals\n"
        "async def main():\n"
        "    StopSignals(lambda: None).__enter__()\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "asyncio.run(main())\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    with fork(run_program, program) as child:
        assert await child.wait() == 7


UNSHARE = ("unshare", "--pid", "--fork", "--kill-child")

STARTING = """
import asyncio, sys
say = globals().get("send", print)
from testkit.probe import Probe
from weenats import NatsServiceBuilder, UnavailableError
from weenats.testing import MemoryTransport

async def hang():
    say("checking")
    await asyncio.Event().wait()

async def main():
    builder = NatsServiceBuilder(Probe(), transport=MemoryTransport())
    checks = [{"name": "hangs", "check": hang}]
    try:
        async with builder.with_health(timeout=3600, custom_checks=checks).build():
            pass
    except UnavailableError:
        sys.exit(7)

asyncio.run(main())
"""

SERVING = """
import asyncio, sys
say = globals().get("send", print)
from testkit.probe import Probe
from weenats import NatsServiceBuilder
from weenats.testing import MemoryTransport

async def main():
    async with NatsServiceBuilder(Probe(), transport=MemoryTransport()).build() as service:
        asyncio.get_running_loop().call_soon(say, "started")  # when it waits for a signal
        if "later" in sys.argv:
            while service.is_serving:
                await asyncio.sleep(0.01)
        await service.wait_until_stopped()
    sys.exit(7)

asyncio.run(main())
"""


def can_unshare() -> bool:
    """Return whether this process may start another one with the id 1."""
    program = shutil.which("unshare")
    return program is not None and subprocess.run([*UNSHARE, "true"], check=False).returncode == 0


@pytest.mark.parametrize("program", [STARTING, SERVING])
async def test_sigterm_stops_a_service(program: str) -> None:
    """SIGTERM stops a service that starts or serves."""
    with fork(run_program, program) as child:
        assert await child.receive()
        child.signal(signal.SIGTERM)
        assert await child.wait() == 7


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="needs a namespace of process ids")
@pytest.mark.parametrize("arguments", [[STARTING], [SERVING], [SERVING, "later"]])
def test_sigterm_stops_the_first_process_of_a_container(arguments: list[str]) -> None:
    """Signals have no default action there: none is lost from the beginning of start()."""
    command = [*UNSHARE, sys.executable, "-u", "-c", *arguments]
    with child_process(command, env=python_environment(), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline()
        # The child of unshare has the id 1 in its own namespace.
        pids = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text()
        os.kill(int(pids), signal.SIGTERM)
        assert child.wait(LIMIT) == 7
