"""A limit of time for what is done with texts of other parties."""

import signal
import sys
import threading
from time import monotonic
from types import CodeType, FrameType, TracebackType
from typing import Final

_SOON: Final = 0.001
_AGAIN: Final = 0.1


class _Stop(BaseException):
    """Ends the block; no `except` of the block expects it."""


class time_limit:  # noqa: N801 - used like a function
    """End a block that takes too long, if the system can do that, and only in the main thread.

    It is no generator: the signal would end what stands around one, and the block would go on
    without its end.

    Args:
        seconds: The time limit.

    Raises:
        TimeoutError: The block took longer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_set = False
        self._is_over = False

    def __enter__(self) -> None:
        is_main = threading.current_thread() is threading.main_thread()
        if not (is_main and hasattr(signal, "setitimer")):
            return
        self._is_set = True
        self._start = monotonic()
        # The signal may arrive in a finalizer, whose exceptions Python prints with their traceback.
        self._report = sys.unraisablehook
        sys.unraisablehook = self._report_others
        self._before = signal.signal(signal.SIGALRM, self._stop)
        # The signal comes again, since Python ignores exceptions in finalizers.
        self._outer = signal.setitimer(signal.ITIMER_REAL, self._seconds, _AGAIN)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._is_over = True
        if not self._is_set:
            return
        left, interval = self._outer
        if left:  # there is a limit around this one
            left = max(left - (monotonic() - self._start), _SOON)
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, self._before)
        sys.unraisablehook = self._report
        if kind is _Stop:
            raise TimeoutError(f"it takes longer than {self._seconds:g} seconds") from None

    def _stop(self, _: int, frame: FrameType | None) -> None:
        """Take the signal; while a block begins or ends, it comes again afterwards."""
        if not self._is_over and not _begins_or_ends(frame):
            raise _Stop

    def _report_others(self, ignored: "sys.UnraisableHookArgs") -> None:
        if ignored.exc_type is not _Stop:
            self._report(ignored)


_EDGES: Final[set[CodeType]] = {time_limit.__enter__.__code__, time_limit.__exit__.__code__}


def _begins_or_ends(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code in _EDGES:
            return True
        frame = frame.f_back
    return False
