"""A limit of time for what is done with texts of other parties."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager


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

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Stop:
        raise TimeoutError(f"it takes longer than {seconds:g} seconds") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
