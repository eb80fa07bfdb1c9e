"""A client process and a server process for each contender, driven over a pipe.

One process for each side, so that the CPU of both is seen.
"""

import asyncio
import gc
import importlib
import multiprocessing
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

Call = Callable[[], Awaitable[None]]
_PATIENCE: Final = 60.0
_YOUNG_OBJECTS: Final = 10_000


class Contender(Protocol):
    """What the module of a contender offers."""

    async def serve(self, url: str, *arguments: str) -> None:
        """Start serving on the running loop and return."""
        ...

    async def connect(self, url: str, *arguments: str) -> Call:
        """Return what makes one call; it has made one already and checked the answer."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round with one number of calls in flight gave."""

    calls: int
    seconds: float
    p50: float
    p99: float
    client_cpu: float
    server_cpu: float
    nats_cpu: float = 0.0
    """Of the nats-servers, if it was measured."""

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def cpu(self) -> float:
        """Seconds of CPU a call, client and server together."""
        return (self.client_cpu + self.server_cpu) / self.calls

    @property
    def whole_cpu(self) -> float:
        """Seconds of CPU a call, with that of the nats-servers."""
        return self.cpu + self.nats_cpu / self.calls


class Pair:
    """The client process and the server process of one contender.

    Args:
        name: its module, and behind each `@` an argument of it.
        url: of the nats-server.
        loop: `asyncio` or `uvloop`.
        path: where its modules are, if not here.
        shown: what samples call it, if not by its name.
    """

    def __init__(
        self, name: str, url: str, loop: str, path: Sequence[str] = (), shown: str = ""
    ) -> None:
        """Start both; they are ready when this returns."""
        self.name = shown or name
        where = _Where(name, url, loop, path)
        self._server = _start(_serve, where)
        self._client = _start(_drive, where)

    def measure(self, in_flight: int, seconds: float) -> Sample:
        """Keep `in_flight` calls going for that long."""
        before = _ask(self._server, "cpu")
        self._client[1].send((in_flight, seconds))
        calls, elapsed, p50, p99, client_cpu = _receive(self._client[1], seconds + _PATIENCE)
        return Sample(calls, elapsed, p50, p99, client_cpu, _ask(self._server, "cpu") - before)

    def stop(self) -> None:
        """End both processes."""
        for process, pipe in (self._client, self._server):
            pipe.send(None)
            process.join(timeout=5)
            if process.is_alive():
                process.kill()


@dataclass(frozen=True, slots=True)
class _Where:
    name: str
    url: str
    loop: str
    path: Sequence[str]


def _start(
    target: Callable[[Connection, _Where], Coroutine[Any, Any, None]], where: _Where
) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(target, theirs, where), daemon=True)
    process.start()
    theirs.close()
    _receive(ours)
    return process, ours


def _run(
    target: Callable[[Connection, _Where], Coroutine[Any, Any, None]],
    pipe: Connection,
    where: _Where,
) -> None:
    sys.path[:0] = where.path
    uses_uvloop = where.loop == "uvloop"
    factory = importlib.import_module("uvloop").new_event_loop if uses_uvloop else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(target(pipe, where))
        os._exit(0)  # what contenders left open does not matter any more


def _ask(side: tuple[object, Connection], question: str) -> float:
    side[1].send(question)
    answer: float = _receive(side[1])
    return answer


def _receive(pipe: Connection, patience: float = _PATIENCE) -> Any:
    """Return what the other process sends.

    Raises:
        TimeoutError: it sends nothing within `patience` seconds.
        EOFError: it has ended.
    """
    if not pipe.poll(patience):
        raise TimeoutError(f"no answer within {patience:.0f} s")
    return pipe.recv()


async def _serve(pipe: Connection, where: _Where) -> None:
    module, *arguments = where.name.split("@")
    contender: Contender = importlib.import_module(module)
    await contender.serve(where.url, *arguments)
    # As `weenats run` does; for all contenders alike.
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    stopped = asyncio.Event()

    def answer() -> None:
        if pipe.recv() is None:
            stopped.set()
        else:
            pipe.send(time.process_time())

    asyncio.get_running_loop().add_reader(pipe.fileno(), answer)
    pipe.send("ready")
    await stopped.wait()


async def _drive(pipe: Connection, where: _Where) -> None:
    module, *arguments = where.name.split("@")
    contender: Contender = importlib.import_module(module)
    call = await contender.connect(where.url, *arguments)
    loop = asyncio.get_running_loop()
    orders: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
    loop.add_reader(pipe.fileno(), lambda: orders.put_nowait(pipe.recv()))
    pipe.send("ready")
    while (order := await orders.get()) is not None:
        pipe.send(await closed_loop(call, *order))


async def closed_loop(
    call: Call, in_flight: int, seconds: float
) -> tuple[int, float, float, float, float]:
    """Keep `in_flight` calls going; return calls, seconds, p50, p99, seconds of CPU."""
    latencies: list[float] = []
    clock = time.perf_counter
    cpu, start = time.process_time(), clock()
    end = start + seconds

    async def caller() -> None:
        before = clock()
        while before < end:
            await call()
            after = clock()
            latencies.append(after - before)
            before = after

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    elapsed, cpu = clock() - start, time.process_time() - cpu
    latencies.sort()
    count = len(latencies)
    return count, elapsed, latencies[count // 2], latencies[count * 99 // 100], cpu
