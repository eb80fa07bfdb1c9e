"""A limit of time for what is done with texts of other parties."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Final

_SOON: Final = 0.001


class _Stop(BaseException):
    """Ends the block; no `except` of the block expects it."""


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """End a block that takes too long, if the system can do that, and only in the main thread.

    Args:
        seconds: The time limit.

    Raises:
        TimeoutError: The block took longer.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and hasattr(signal, "setitimer")):
        yield
        return

    def stop(*_: object) -> None:
        raise _Stop

    start = monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)  # of a limit around this one, or 0
    try:
        yield
    except _Stop:
        raise TimeoutError(f"it takes longer than {seconds:g} seconds") from None
    finally:
        left = max(outer - (monotonic() - start), _SOON) if outer else 0
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, before)
