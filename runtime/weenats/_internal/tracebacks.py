"""Tracebacks of exceptions that end here."""

from __future__ import annotations

from typing import cast

__all__ = ["release_frames"]


def release_frames(error: BaseException) -> None:
    """Let go of the frames of an exception that was handled, and of those that it is chained to.

    Code may raise one object many times: a stream of asyncio that is broken does. Python adds to
    its traceback each time, which then keeps the frames of all requests so far, with what they
    hold, and takes ever longer to log.

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
        BaseException.with_traceback(each, None)  # exceptions may refuse that attributes are set
        unread += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            unread += cast("BaseExceptionGroup[BaseException]", each).exceptions
