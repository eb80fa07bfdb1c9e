"""The recording of one call or one message."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

    End = Callable[[Span | None, float, BaseException | None], None]

__all__ = ["Recording"]


class Recording:
    """Measures what runs within `with`, which returns the headers that propagate the trace.

    Args:
        end: called at the end with the span, the duration in seconds and the exception, if any.
        span: the span, None when it is not recorded.
        headers: encoded header lines.
    """

    __slots__ = ("_end", "_headers", "_span", "_started")

    def __init__(self, end: End, span: Span | None, headers: bytes = b"") -> None:
        self._end = end
        self._span = span
        self._headers = headers

    def __enter__(self) -> bytes:
        self._started = perf_counter()
        return self._headers

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._end(self._span, perf_counter() - self._started, error)
