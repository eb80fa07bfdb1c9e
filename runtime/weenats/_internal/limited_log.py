"""Loggers for records that peers can cause: a flood of messages is not a flood of records."""

from __future__ import annotations

import logging
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from typing_extensions import override

from weenats._internal.process_lock import process_lock

if TYPE_CHECKING:
    from collections.abc import Callable

_BURST: Final = 10
"""How many alike records are logged at once."""
_PERIOD: Final = 1.0
"""Seconds after which one more is logged."""
_OF_TEXT: Final = 10
"""How many times as many records may have one text, whatever its first argument is."""
_MAX_KINDS: Final = 1000
"""How many kinds of records are counted at a time; beyond it counting begins anew."""
_ANY: Final = object()
_LOCK: Final = process_lock()
_Kind = tuple[object, object, object]


class LimitedLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that limits the rate of alike records, from level WARNING on.

    Records are alike if they have the same text before formatting, the same first argument and the
    same class of exception, or the same `kind`, which a call may give in its place. Ten are logged
    at once, then one in a second, with the number of those that were left out. Of one text with any
    first argument, which a peer may choose, it is a hundred at once, then ten in a second.

    Args:
        name: the name of the logger.
        clock: returns monotonic seconds.
    """

    def __init__(self, name: str, clock: Callable[[], float] = monotonic) -> None:
        super().__init__(logging.getLogger(name), {})
        self._clock = clock
        self._kinds: dict[_Kind, _Allowance] = {}

    @override
    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        error, kind = kwargs.get("exc_info"), kwargs.pop("kind", None)
        if isinstance(error, BaseException):
            # `logging` would ask it for its truth value, and leave out one that is false.
            kwargs["exc_info"] = type(error), error, error.__traceback__
        if level >= logging.WARNING and self.isEnabledFor(level):
            left_out = self._take(_kind(msg, args, error, kind))
            if left_out is None:
                return
            if left_out:
                msg, args = f"{msg} (and %d more like it)", (*args, left_out)
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *args, **kwargs)

    def _take(self, kind: _Kind) -> int | None:
        """Count a record; return how many were left out before, None if it is left out as well."""
        with _LOCK:
            now = self._clock()
            left_out = self._allowance(kind, now).take(now)
            if left_out is None or kind[1] is None:
                return left_out
            others = self._allowance((kind[0], _ANY, None), now, _OF_TEXT).take(now)
            return None if others is None else left_out + others

    def _allowance(self, kind: _Kind, now: float, factor: int = 1) -> _Allowance:
        allowance = self._kinds.get(kind)
        if allowance is None:
            if len(self._kinds) >= _MAX_KINDS:
                # Those of texts stay: they are as many as there are lines that log.
                of_texts = {each: a for each, a in self._kinds.items() if each[1] is _ANY}
                self._kinds = of_texts if len(of_texts) < _MAX_KINDS else {}
            allowance = self._kinds[kind] = _Allowance(now, factor)
        return allowance


class _Allowance:
    """How many records of one kind may be logged now."""

    def __init__(self, now: float, factor: int) -> None:
        self._most = float(_BURST * factor)
        self._period = _PERIOD / factor
        self._records = self._most
        self._counted_at = now
        self._left_out = 0

    def take(self, now: float) -> int | None:
        self._records = min(self._records + (now - self._counted_at) / self._period, self._most)
        self._counted_at = now
        if self._records < 1:
            self._left_out += 1
            return None
        self._records -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out


def _kind(msg: object, args: tuple[object, ...], exc_info: object, kind: object) -> _Kind:
    first = args[0] if args and isinstance(args[0], str) else None
    error = sys.exception() if exc_info is True else exc_info
    return msg, first, kind or (type(error) if isinstance(error, BaseException) else None)
