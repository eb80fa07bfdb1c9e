"""Tracebacks of exceptions that end here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["MAX_FRAMES", "release_frames"]
MAX_FRAMES: Final = 100
"""The frames that a traceback may keep; hardly any code raises from as deep."""
_TRACEBACK: Final[Any] = vars(BaseException)["__traceback__"]
_CAUSE: Final[Any] = vars(BaseException)["__cause__"]
_CONTEXT: Final[Any] = vars(BaseException)["__context__"]
_PARTS: Final[Any] = vars(BaseExceptionGroup)["exceptions"]


def release_frames(error: BaseException) -> None:
    """Let go of the frames of an exception that was handled, where they are many.

    Code may raise one object many times: a stream of asyncio that is broken does. Python adds to
    its traceback each time, which then keeps the frames of all requests so far, with what they
    hold, and takes ever longer to log. The same holds for those that it is chained to.

    Other tracebacks stay: a handler of the log that formats records later, or an interceptor that
    reports errors in the background, still needs them.

    Args:
        error: the exception.
    """
    unread: list[BaseException | None] = [error]
    seen: set[int] = set()
    while unread:
        each = unread.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        # Read and written as Python does: classes may have members of these names, which raise.
        if _is_long(_TRACEBACK.__get__(each)):
            BaseException.with_traceback(each, None)
        unread += [_CAUSE.__get__(each), _CONTEXT.__get__(each)]
        if issubclass(type(each), BaseExceptionGroup):
            unread += _PARTS.__get__(each)


def _is_long(traceback: TracebackType | None) -> bool:
    frames = 0
    while traceback is not None and frames <= MAX_FRAMES:
        frames += 1
        traceback = traceback.tb_next
    return frames > MAX_FRAMES
