"""A limit of time for what is done with texts of other parties."""

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from time import monotonic
from typing import Final

_SOON: Final = 0.001
_AGAIN: Final = 0.1


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

    is_over = False

    def stop(*_: object) -> None:
        if not is_over:
            raise _Stop

    report = sys.unraisablehook

    def report_others(ignored: "sys.UnraisableHookArgs") -> None:
        if ignored.exc_type is not _Stop:
            report(ignored)

    start = monotonic()
    # The signal may arrive in a finalizer, whose exceptions Python prints with their traceback.
    sys.unraisablehook = report_others
    before = signal.signal(signal.SIGALRM, stop)
    # The signal comes again, since Python ignores exceptions in finalizers. `outer` is how long a
    # limit around this one has, or 0.
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    except _Stop:
        is_over = True
        raise TimeoutError(f"it takes longer than {seconds:g} seconds") from None
    finally:
        is_over = True
        left = max(outer - (monotonic() - start), _SOON) if outer else 0
        signal.setitimer(signal.ITIMER_REAL, left, _AGAIN if outer else 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = report
