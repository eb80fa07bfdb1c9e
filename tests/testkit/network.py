"""A network of TCP links on the loopback that a test can cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

CHUNK = 64 * 1024


class Link:
    """A port that forwards to another one. While it is cut, nothing gets through.

    Connections stay open, as with a cable that was pulled; what was sent is delivered once the
    link is mended, to peers that are still connected.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close all connections."""
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cut(self) -> None:
        """Let nothing through."""
        self._whole.clear()

    async def mend(self) -> None:
        """Let everything through again."""
        self._whole.set()

    async def _carry(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.closing(back), contextlib.suppress(OSError, asyncio.CancelledError):
            await self._whole.wait()
            far, forth = await asyncio.open_connection("127.0.0.1", self.target)
            with contextlib.closing(forth):
                ways = [
                    asyncio.create_task(self._pump(near, forth)),
                    asyncio.create_task(self._pump(far, back)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await self._whole.wait()
            target.write(data)
            await target.drain()
        await self._whole.wait()  # nor does the end of a connection get through


class Network:
    """Links in a thread of their own, so that a test may block while they forward."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._links: dict[tuple[str, str], Link] = {}

    def link(self, place: str, target: str, port: int) -> int:
        """Return a port by which one place reaches a port of another; see nats_cluster.Link.

        Advertised addresses lead nowhere: they would lead around the links.
        """
        if place == "advertised":
            return 1
        link = self._links[place, target] = Link(port)
        self._run(link.open())
        return link.port

    def links_of(self, server: str) -> Callable[[str, str, int], int]:
        """Return what `link` does, for the connections between a server and the others alone."""

        def link(place: str, target: str, port: int) -> int:
            is_direct = place == "client" or server not in {place, target}
            return port if is_direct and place != "advertised" else self.link(place, target, port)

        return link

    def cut(self, place: str, *others: str) -> None:
        """Let nothing through between a place and others, all by default, in either direction."""
        self._each(place, others, Link.cut)

    def mend(self, place: str, *others: str) -> None:
        """Let everything through again."""
        self._each(place, others, Link.mend)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for link in self._links.values():
            self._run(link.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _each(
        self,
        place: str,
        others: tuple[str, ...],
        change: Callable[[Link], Coroutine[Any, Any, None]],
    ) -> None:
        for ends, link in self._links.items():
            if place in ends and (not others or set(ends) & set(others)):
                self._run(change(link))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
