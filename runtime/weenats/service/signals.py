"""SIGTERM, SIGINT and SIGHUP: one signal handler for all services of a process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType

__all__ = ["StopSignals"]
_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
_RELOAD: Final = "SIGHUP"
"""It stops a process whose terminal was closed. Others ignore it (nohup) or read settings anew."""
_LOOK: Final = 1.0
"""Seconds after which a signal is noticed that arrived just before the event loop began to wait.

Python runs signal handlers between two steps of its own, and the wait of the loop is one step.
"""
_Callback = tuple[asyncio.AbstractEventLoop, Callable[[], None]]


@dataclass(frozen=True, slots=True)
class _Taken:
    previous: Any
    callbacks: list[_Callback]


_taken: Final[dict[int, _Taken]] = {}


class StopSignals:
    """While entered, calls `on_signal` on the running loop for each SIGTERM, SIGINT or SIGHUP.

    A signal handler that was set with `signal.signal` is replaced meanwhile, except for SIGHUP; one
    that was set with `loop.add_signal_handler` runs as well. The previous handlers are restored
    when the last one is left, unless the program has set others since. It does nothing outside of
    the main thread.

    Args:
        on_signal: a function without arguments; if it was entered twice, it is called once.
        unhandled: only signals that have their default action so far, which would end the process.
    """

    def __init__(self, on_signal: Callable[[], None], *, unhandled: bool = False) -> None:
        self._callback = asyncio.get_running_loop(), on_signal
        self._unhandled = unhandled
        self._numbers: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._numbers = [
                each for each in _SIGNALS if _take(each, self._callback, unhandled=self._unhandled)
            ]
        if self._numbers:
            self._look_again()
        return self

    def _look_again(self) -> None:
        self._timer = self._callback[0].call_later(_LOOK, self._look_again)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        numbers, self._numbers = self._numbers, []
        for number in numbers:
            if number in _taken:
                _taken[number].callbacks.remove(self._callback)
                if not _taken[number].callbacks:
                    _restore(number)


def _take(number: signal.Signals, callback: _Callback, *, unhandled: bool) -> bool:
    """Add a callback to a signal, and install the handler; return whether it was added."""
    if number in _taken:
        _taken[number].callbacks.append(callback)
        return True
    previous = signal.getsignal(number)
    # None: a handler of C code, which could not be restored.
    keeps = unhandled or number.name == _RELOAD
    if previous is None or (keeps and previous is not signal.SIG_DFL):
        return False
    _taken[number] = _Taken(previous, [callback])  # before the first signal can arrive
    signal.signal(number, _on_signal)
    return True


def _restore(number: int) -> None:
    if signal.getsignal(number) is _on_signal:
        signal.signal(number, _taken[number].previous)
    del _taken[number]


def _on_signal(number: int, _: FrameType | None) -> None:
    # Each callback once, in the order in which they were entered.
    callbacks = [
        each for each in dict.fromkeys(_taken[number].callbacks) if not each[0].is_closed()
    ]
    for loop, callback in callbacks:
        loop.call_soon_threadsafe(callback)
    if not callbacks:  # their event loops ended without leaving
        _restore(number)
        signal.raise_signal(number)


def _on_fork() -> None:
    """Give a forked process the previous handlers: its parent serves, and could not end it."""
    for number in list(_taken):
        with suppress(ValueError):  # it was not forked by the main interpreter
            _restore(number)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_on_fork)
