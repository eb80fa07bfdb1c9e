"""The event loop that something belongs to: a connection, and all that uses it."""

from __future__ import annotations

import asyncio

from weenats.errors import WrongEventLoopError

__all__ = ["check_event_loop"]


def check_event_loop(own: asyncio.AbstractEventLoop | None) -> None:
    """Check that the event loop to which something belongs is the running one.

    Args:
        own: its event loop.

    Raises:
        WrongEventLoopError: another one is running.
    """
    if asyncio.get_running_loop() is not own:
        raise WrongEventLoopError
