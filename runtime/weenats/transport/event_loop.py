"""The event loop that something belongs to: a connection, and all that uses it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Final

from weenats._internal.background import Background
from weenats._internal.tasks import finish
from weenats.errors import WrongEventLoopError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["check_event_loop", "end_on", "finish_on"]
_ENDING: Final = Background()


def check_event_loop(own: asyncio.AbstractEventLoop | None) -> None:
    """Check that the event loop to which something belongs is the running one.

    Args:
        own: its event loop.

    Raises:
        WrongEventLoopError: another one is running.
    """
    if asyncio.get_running_loop() is not own:
        raise WrongEventLoopError


def end_on(
    own: asyncio.AbstractEventLoop, end: Callable[[], Coroutine[object, object, None]]
) -> None:
    """End something soon, from any thread.

    Args:
        own: its event loop, which may have ended.
        end: ends it.
    """
    with suppress(RuntimeError):  # the loop is closed, and its sockets are or will be
        own.call_soon_threadsafe(lambda: _ENDING.run(end()), context=Context())


async def finish_on(
    own: asyncio.AbstractEventLoop, end: Callable[[], Coroutine[object, object, None]]
) -> None:
    """End what a block holds, to its end, also when the block is left on another event loop.

    Nobody can leave it again.

    Args:
        own: the event loop of the block.
        end: ends what it holds.

    Raises:
        WrongEventLoopError: another one is running; it ends on its own.
        BaseException: `end` raised it.
    """
    if asyncio.get_running_loop() is not own:
        end_on(own, end)
        raise WrongEventLoopError
    await finish(end())
