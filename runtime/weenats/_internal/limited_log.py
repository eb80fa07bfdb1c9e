"""Loggers for records that peers can cause: a flood of messages is not a flood of records."""

from __future__ import annotations

import logging
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_BURST: Final = 10
"""How many alike records are logged at once."""
_PERIOD: Final = 1.0
"""Seconds after which one more is logged."""
_MAX_KINDS: Final = 1000
"""How many kinds of records are told apart."""
_Kind = tuple[str, object, type[BaseException] | None]


def limited_logger(name: str) -> logging.Logger:
    """Return a logger that limits the rate of alike warnings and errors.

    Records are alike if they have the same text before formatting, the same first argument and the
    same class of exception. Ten are logged at once, then one in a second, with the number of those
    that were left out.

    Args:
        name: the name of the logger.
    """
    logger = logging.getLogger(name)
    if not any(isinstance(each, RateFilter) for each in logger.filters):
        logger.addFilter(RateFilter())
    return logger


class RateFilter(logging.Filter):
    """Limits the rate of alike records, from level WARNING on.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = Lock()
        self._kinds: dict[_Kind, _Allowance] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged.

        Args:
            record: the record; it gets the number of records that were left out before.
        """
        if record.levelno < logging.WARNING:
            return True
        with self._lock:
            kind = _kind(record)
            now = self._clock()
            allowance = self._kinds.get(kind)
            if allowance is None:
                if len(self._kinds) >= _MAX_KINDS:
                    self._kinds.clear()
                allowance = self._kinds[kind] = _Allowance(now)
            if not allowance.take(now):
                return False
            left_out, allowance.left_out = allowance.left_out, 0
        if left_out:
            record.msg = f"{record.getMessage()} (and {left_out} more like it)"
            record.args = None
        return True


class _Allowance:
    """How many records of one kind may be logged now."""

    def __init__(self, now: float) -> None:
        self._records = float(_BURST)
        self._counted_at = now
        self.left_out = 0

    def take(self, now: float) -> bool:
        grown = (now - self._counted_at) / _PERIOD
        self._records = min(self._records + grown, _BURST)
        self._counted_at = now
        if self._records < 1:
            self.left_out += 1
            return False
        self._records -= 1
        return True


def _kind(record: logging.LogRecord) -> _Kind:
    args = record.args
    first = args[0] if isinstance(args, tuple) and args else None
    error = record.exc_info[0] if record.exc_info else None
    return str(record.msg), first if isinstance(first, str) else None, error
