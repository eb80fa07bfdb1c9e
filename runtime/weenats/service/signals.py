"""SIGTERM and SIGINT: one signal handler for all services of a process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StopSignals"]
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_waiting: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}


class StopSignals:
    """While entered, calls `on_signal` on the loop for each SIGTERM or SIGINT.

    The previous signal handlers are restored when the last one is left. It does nothing outside of
    the main thread, and on platforms without these signals.

    Args:
        on_signal: a function without arguments.
    """

    def __init__(self, on_signal: Callable[[], None]) -> None:
        self._on_signal = on_signal
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        callbacks = _waiting.setdefault(self._loop, [])
        callbacks.append(self._on_signal)
        if len(callbacks) == 1:
            _install(self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        callbacks = _waiting[self._loop]
        callbacks.remove(self._on_signal)
        if not callbacks:
            del _waiting[self._loop]
            _restore(self._loop)


_previous: dict[signal.Signals, Any] = {}


def _install(loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            previous = signal.getsignal(number)
            loop.add_signal_handler(number, _call_all, loop)
            _previous[number] = previous


def _restore(loop: asyncio.AbstractEventLoop) -> None:
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
            # False in a thread: the handler belongs to the loop of the main thread.
            if not loop.remove_signal_handler(number):
                continue
            if (previous := _previous.pop(number, None)) is not None:
                signal.signal(number, previous)


def _call_all(loop: asyncio.AbstractEventLoop) -> None:
    for callback in tuple(_waiting.get(loop, ())):
        callback()
