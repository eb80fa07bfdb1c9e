"""Message ids (ULID) with their timestamps, and checks of correlation ids and tokens."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from os import urandom
from time import time_ns
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from weenats.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "STAMPER",
    "Stamper",
    "check_correlation",
    "check_message_id",
    "check_token",
    "new_message_id",
]
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_PAIR_BITS: Final = 10
_PAIR_MASK: Final = 2**_PAIR_BITS - 1
_CHARACTER_OF_BYTE: Final = (_ALPHABET * 8).encode()
_TIME_SHIFTS: Final = (40, 30, 20, 10, 0)
_RANDOM_CHARACTERS: Final = 12
_LAST_SUFFIX: Final = len(_PAIRS) ** 2 - 1
_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_MAX_AHEAD: Final = 1000
"""How far the last id may be ahead of the clock, in milliseconds."""
_stampers: Final[WeakSet[Stamper]] = WeakSet()
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_MESSAGE_ID: Final = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
_CORRELATION: Final = re.compile(r"[\x20-\x7e]{1,128}")


class Stamper:
    """Creates the ids and timestamps of messages.

    Within one millisecond ids count upwards from a random ULID, as the ULID specification requires
    of monotonic ids: they are unique and sort in the order in which they were created. The prefix
    and the timestamp change once a millisecond and are computed once a millisecond.

    When the clock is set back by up to a second, the last millisecond goes on, so that ids stay in
    order; when it is set back further, ids and timestamps follow it. A forked process continues
    with other ids.

    Args:
        clock: returns nanoseconds since the epoch.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_millisecond",
        "_prefix",
        "_second",
        "_suffix",
        "_timestamp",
        "_until_second",
    )

    def __init__(self, clock: Callable[[], int] = time_ns) -> None:
        self._clock = clock
        self._prefix = ""
        self._timestamp = ""
        self._second: int = -1
        self._until_second = ""
        self.reset()
        _stampers.add(self)

    def reset(self) -> None:
        """Begin anew with the next id: in a forked process others would be those of its parent."""
        self._millisecond = -1
        self._suffix = _LAST_SUFFIX

    def stamp(self) -> tuple[str, str]:
        """Return a new message id and its timestamp, which are of the same millisecond.

        Returns:
            A ULID, and ISO 8601 text in UTC with milliseconds and "Z".
        """
        millisecond = self._clock() // _NANOSECONDS_PER_MILLISECOND
        if millisecond == self._millisecond and self._suffix < _LAST_SUFFIX:
            self._suffix += 1
        else:
            self._advance(millisecond)
        suffix = self._suffix
        return (
            self._prefix + _PAIRS[suffix >> _PAIR_BITS] + _PAIRS[suffix & _PAIR_MASK],
            self._timestamp,
        )

    def new_id(self) -> str:
        """Return a new ULID."""
        return self.stamp()[0]

    def _advance(self, millisecond: int) -> None:
        if not 0 <= self._millisecond - millisecond <= _MAX_AHEAD:
            self._begin(millisecond)
        elif self._suffix < _LAST_SUFFIX:
            self._suffix += 1
        else:  # the suffixes of a millisecond are used up: the next one begins early
            self._begin(self._millisecond + 1)

    def _begin(self, millisecond: int) -> None:
        # A ULID is 48 bits of milliseconds and 80 random bits, five bits a character. The library
        # for it and `strftime` take three times as long, and in a quiet service each message would.
        time = "".join([_PAIRS[millisecond >> bits & _PAIR_MASK] for bits in _TIME_SHIFTS])
        drawn = urandom(_RANDOM_CHARACTERS + 3)
        random = drawn[:_RANDOM_CHARACTERS].translate(_CHARACTER_OF_BYTE).decode()
        self._prefix = time + random
        # Halved, so that at least half of the suffixes remain to count up in.
        self._suffix = (int.from_bytes(drawn[_RANDOM_CHARACTERS:], "big") & _LAST_SUFFIX) // 2
        self._millisecond = millisecond
        second, rest = divmod(millisecond, 1000)
        if second != self._second:
            self._second = second
            moment = datetime.fromtimestamp(second, UTC)
            self._until_second = moment.strftime("%Y-%m-%dT%H:%M:%S.")
        self._timestamp = f"{self._until_second}{rest:03d}Z"


def _reset_all() -> None:
    for stamper in _stampers:
        stamper.reset()


STAMPER: Final = Stamper()
"""The stamper of this process."""
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all)


def new_message_id() -> str:
    """Return a new message id, for the option `message_id` of a call.

    A caller that stores it before the call can repeat the call after a restart, with the same id.
    """
    return STAMPER.new_id()


def check_message_id(identifier: str) -> str:
    """Check a message id.

    Args:
        identifier: the id.

    Returns:
        The id.

    Raises:
        InvalidArgumentError: it is not a ULID in upper case.
    """
    if type(identifier) is not str or _MESSAGE_ID.fullmatch(identifier) is None:
        raise InvalidArgumentError(
            "message_id must be a ULID in upper case, as new_message_id() returns"
        )
    return identifier


def check_token(token: str) -> str:
    """Check that a message can carry a token.

    Args:
        token: the token.

    Returns:
        The token.

    Raises:
        InvalidArgumentError: it is empty, not a str or not valid Unicode. The error does not show
            the token.
    """
    is_text = type(token) is str and (token.isascii() or _SURROGATE.search(token) is None)
    if not is_text or not token:
        raise InvalidArgumentError(
            "a token must not be empty, and must be text or a callable that returns it"
        )
    return token


def check_correlation(identifier: str, what: str) -> str:
    """Check a correlation or causation id.

    Args:
        identifier: the id.
        what: the name of the argument, for the error message.

    Returns:
        The id.

    Raises:
        InvalidArgumentError: it is not 1 to 128 printable ASCII characters.
    """
    if type(identifier) is not str or _CORRELATION.fullmatch(identifier) is None:
        raise InvalidArgumentError(f"{what} must be 1 to 128 printable ASCII characters")
    return identifier
