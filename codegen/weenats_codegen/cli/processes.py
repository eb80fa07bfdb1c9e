"""`weenats run --processes N`: serves in N child processes, and replaces those that end."""

import asyncio
import json
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

from weenats.service.signals import StopSignals
from weenats_codegen.cli.children import (
    MAX_TERMINATIONS,
    Child,
    child_environment,
    is_set_within,
)
from weenats_codegen.cli.output import console, emit_line, output_optional, plain, warn

MAX_PROCESSES: Final = 256
_DELAY: Final = 0.1
"""Seconds until a process that ended is started again; twice as long each time."""
_MAX_DELAY: Final = 30.0
_STEADY: Final = 60.0
"""Seconds after which the end of a process is not counted as a repetition of the last one."""
_READING: Final = 0.5
"""Seconds to read what a process that has ended wrote before."""
_ATTEMPTS: Final = 5
"""Starts of each process in a row that may fail while no other process serves."""
_CPU_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")

Facts = dict[str, Any]
Start = Callable[[int], Awaitable[tuple[Child, int]]]


def process_count(text: str) -> int:
    """Return the number of processes.

    Args:
        text: A number, or "auto" for one process per core that this process may use.

    Raises:
        ValueError: It is neither.
    """
    if text == "auto":
        return min(_cores(), MAX_PROCESSES)
    if text.isdecimal() and text.isascii() and 1 <= int(text) <= MAX_PROCESSES:
        return int(text)
    raise ValueError(f"{text!r} is neither `auto` nor a number from 1 to {MAX_PROCESSES}")


def _cores() -> int:
    """Return how many cores this process may use; the CPU limit of a container counts."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # "max 100000" without a limit
        quota, period = _CPU_LIMIT.read_text().split()
        cores = min(cores, max(math.ceil(int(quota) / int(period)), 1))
    return cores


def serve_in_processes(
    target: str, servers: Sequence[str], count: int, *, embedded: bool, as_json: bool
) -> int:
    """Serve MODULE:NAME in several processes until SIGTERM or Ctrl-C.

    Args:
        target: What is served.
        servers: The servers, none for those of the environment or the builder.
        count: How many processes.
        embedded: Whether to start a nats-server for them.
        as_json: Whether they are announced as JSON.

    Returns:
        The exit code: 0 if all have drained, otherwise that of a process that failed.
    """
    with child_environment(servers, embedded=embedded) as environment:

        async def start(number: int) -> tuple[Child, int]:
            reading, writing = os.pipe()
            try:
                arguments = [target, "--process", str(number), "--report-to", str(writing)]
                return await Child.start(arguments, environment, writing), reading
            except BaseException:
                os.close(reading)
                raise
            finally:
                os.close(writing)

        def announce(facts: Facts) -> None:
            with output_optional():
                _announce(facts, count, as_json=as_json)

        return asyncio.run(_Supervisor(start, count, announce).run())


def _announce(facts: Facts, count: int, *, as_json: bool) -> None:
    if as_json:
        emit_line(facts)
        return
    on = f" on {plain(facts['servers'])}" if facts["servers"] else ""
    text = f"[bold]{facts['service']}[/] {facts['version']} is running{on}"
    place = f"process {facts['process']} of {count}, pid {facts['pid']}"
    console().print(f"{text} ({place}); press Ctrl-C to stop", soft_wrap=True)


class _Supervisor:
    """Keeps processes running: the first one, and when that serves all others.

    So what keeps every process from starting is shown once.
    """

    def __init__(self, start: Start, count: int, announce: Callable[[Facts], None]) -> None:
        self._start = start
        self._count = count
        self._announce = announce
        self._stop = asyncio.Event()
        self._has_served = asyncio.Event()
        self._children: dict[int, Child] = {}
        self._serving: set[int] = set()
        self._failures = 0  # starts in a row of all processes
        self._sent = 0
        self._code = 0

    async def run(self) -> int:
        with StopSignals(self._on_signal):
            first = asyncio.create_task(self._keep(1))
            served = asyncio.create_task(self._has_served.wait())
            await asyncio.wait([first, served], return_when=asyncio.FIRST_COMPLETED)
            served.cancel()
            others = range(2, self._count + 1) if self._has_served.is_set() else ()
            keeping = [first, *(asyncio.create_task(self._keep(each)) for each in others)]
            await asyncio.wait(keeping, return_when=asyncio.FIRST_EXCEPTION)
            # If one has failed, the others end by themselves: asyncio hangs when it is cancelled
            # while it starts a process.
            self._end()
            await asyncio.wait(keeping)
            for child in self._children.values():
                await child.wait()
        for each in keeping:
            each.result()
        return self._code

    async def _keep(self, number: int) -> None:
        """Keep one process running until all are stopped."""
        delay = _DELAY
        while not self._stop.is_set():
            began = monotonic()
            code, end = await self._run(number)
            if self._stop.is_set():
                self._code = max(self._code, code)
                return
            if self._gives_up(code):
                return
            if monotonic() - began > _STEADY:
                delay = _DELAY
            warn(f"process {number} {end}; it is replaced in {delay:g} s")
            await is_set_within(self._stop, delay)
            delay = min(delay * 2, _MAX_DELAY)

    async def _run(self, number: int) -> tuple[int, str]:
        """Run a process to its end; return its exit code, and how it ended.

        Raises:
            OSError: It cannot be started, and none could so far.
        """
        try:
            child = await self._serve(number)
        except OSError as error:  # the system has no memory or process left for it
            if not self._has_served.is_set():
                raise
            self._failures += 1
            return 1, f"cannot be started: {error}"
        code = await child.wait()
        self._serving.discard(number)
        how = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
        return code, f"(pid {child.pid}) {how}"

    async def _serve(self, number: int) -> Child:
        """Start a process; return it when it serves, or has ended before."""
        child, pipe = await self._start(number)
        self._children[number] = child
        if self._stop.is_set():  # while it was started
            child.signal()
        facts = await _report(child, pipe)
        if facts is not None:
            self._serving.add(number)
            self._failures = 0
            self._has_served.set()
            self._announce({**facts, "process": number, "pid": child.pid})
        else:
            self._failures += 1
        return child

    def _gives_up(self, code: int) -> bool:
        """Stop everything if no process serves, and starting them does not help."""
        if not self._has_served.is_set():
            warn("the first process has ended before it served; no others are started")
        elif self._serving or self._failures < _ATTEMPTS * self._count:
            return False
        else:
            warn(f"no process serves: {self._failures} starts in a row have failed; stopping")
        self._code = max(code, 1)
        self._end()
        return True

    def _on_signal(self) -> None:
        self._sent += 1
        is_killed = self._sent > MAX_TERMINATIONS
        warn("stopping: the processes are killed" if is_killed else "stopping all processes")
        self._end()

    def _end(self) -> None:
        self._stop.set()
        for child in self._children.values():
            child.signal()


async def _report(child: Child, pipe: int) -> Facts | None:
    """Return what a process reports on a pipe, which is closed then; None if it ends before.

    Processes that it has forked have the pipe too, so that it may have no end.
    """
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(pipe, "rb", buffering=0)
    )
    reading = asyncio.create_task(_facts(reader))
    ending = asyncio.create_task(child.wait())
    try:
        await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([reading], timeout=_READING)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()
        ending.cancel()
        transport.close()


async def _facts(reader: asyncio.StreamReader) -> Facts | None:
    """Return the first line that is a report: code of the service may have written others."""
    while line := await _line(reader):
        with suppress(ValueError, TypeError, KeyError):
            facts = json.loads(line)
            if isinstance(facts["service"], str) and isinstance(facts["version"], str):
                return {**facts, "servers": facts["servers"]}
    return None


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, b"" at the end; of a line that is too long, a part that is no JSON."""
    try:
        return await reader.readline()
    except ValueError:
        return b"\n"
