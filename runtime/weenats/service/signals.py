"""SIGTERM and SIGINT for all services of a process: one handler, however many of them wait."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_waiting: dict[asyncio.AbstractEventLoop, list[Callable[[], None]]] = {}


class StopSignals:
    """While entered, calls `on_signal` on the loop for each SIGTERM or SIGINT.

    The handlers that were installed before are put back when nobody waits any more. Outside of the
    main thread, and where the platform has no such signals, it does nothing.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            # False in a thread: what the main thread's loop installed is not this loop's to undo.
            if not loop.remove_signal_handler(number):
                continue
            if (previous := _previous.pop(number, None)) is not None:
                signal.signal(number, previous)


def _call_all(loop: asyncio.AbstractEventLoop) -> None:
    for callback in tuple(_waiting.get(loop, ())):
        callback()
