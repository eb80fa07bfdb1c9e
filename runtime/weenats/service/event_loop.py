"""The event loop of programs that serve: that of uvloop if it is installed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from weenats.service.threads import HandlerThreads

__all__ = ["event_loop_name", "run"]
ResultT = TypeVar("ResultT")


def run(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a program as `asyncio.run` does, on uvloop if it is installed (extra `fast`).

    Example:
        ```python
        from weenats.service import run


        async def main() -> None:
            print("serving")


        run(main())
        ```

    Args:
        main: what the program does.

    Returns:
        What `main` returns.
    """
    with asyncio.Runner(loop_factory=_new_event_loop) as runner:
        return runner.run(main)


def event_loop_name(loop: asyncio.AbstractEventLoop) -> str:
    """Return the package that an event loop is from: "asyncio" or "uvloop", for example.

    Args:
        loop: the event loop.
    """
    return type(loop).__module__.partition(".")[0]


def _new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError:
        return asyncio.new_event_loop()
    loop = uvloop.new_event_loop()
    loop.set_default_executor(HandlerThreads())  # it could not be replaced later
    return loop
