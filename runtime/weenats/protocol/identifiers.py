"""What tells messages and callers apart: ids (ULID), timestamps, correlations, tokens.

What changes once a millisecond is made once a millisecond.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from os import urandom
from time import time_ns
from typing import TYPE_CHECKING, Final

from ulid import ULID

from weenats.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_VALUE_OF_PAIR: Final = {pair: value for value, pair in enumerate(_PAIRS)}
_PREFIX_LENGTH: Final = 22
_LAST_SUFFIX: Final = len(_PAIRS) ** 2 - 1
_NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CORRELATION: Final = re.compile(r"[\x20-\x7e]{1,128}")


class Stamper:
    """Makes the id and the timestamp of messages.

    Within one millisecond ids count upwards from a random ULID, as the ULID specification has it
    for monotonic
    ids: they are unique and sort in the order in which they were made.
    """

    __slots__ = ("_clock", "_millisecond", "_prefix", "_suffix", "timestamp")

    def __init__(self, clock: Callable[[], int] = time_ns) -> None:
        self._clock = clock
        self._millisecond = -1
        self._suffix = _LAST_SUFFIX
        self._prefix = ""
        self.timestamp = ""

    def stamp(self) -> str:
        """Return a new message id.

        `timestamp` is then the time of this message, ISO 8601 in UTC with ms and Z.
        """
        millisecond = self._clock() // _NANOSECONDS_PER_MILLISECOND
        if millisecond > self._millisecond or self._suffix >= _LAST_SUFFIX:
            # A millisecond that is used up is followed by the next one, whatever the clock says.
            self._begin(max(millisecond, self._millisecond + 1))
        else:
            self._suffix += 1
        high, low = divmod(self._suffix, len(_PAIRS))
        return self._prefix + _PAIRS[high] + _PAIRS[low]

    def _begin(self, millisecond: int) -> None:
        # Not ULID.from_timestamp: within a millisecond that counts on from the last one it made.
        text = str(ULID.from_bytes(millisecond.to_bytes(6, "big") + urandom(10)))
        self._prefix = text[:_PREFIX_LENGTH]
        # Halved, so that at least half of the suffixes are left to count up in.
        self._suffix = (_VALUE_OF_PAIR[text[-4:-2]] * len(_PAIRS) + _VALUE_OF_PAIR[text[-2:]]) // 2
        self._millisecond = millisecond
        moment = datetime.fromtimestamp(millisecond / 1000, UTC)
        self.timestamp = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{millisecond % 1000:03d}Z"


STAMPER: Final = Stamper()
"""The one of this process."""


def check_token(token: str) -> str:
    """Return a token that a message may carry.

    Raises:
        InvalidArgumentError: it is empty, no text or no Unicode; the error shows nothing of it.
    """
    is_text = type(token) is str and (token.isascii() or _SURROGATE.search(token) is None)
    if not is_text or not token:
        raise InvalidArgumentError(
            "a token must not be empty, and must be text or a callable that returns it"
        )
    return token


def check_correlation(identifier: str, what: str) -> str:
    """Return a correlation or causation id.

    Raises:
        InvalidArgumentError: it is not 1 to 128 printable ASCII characters.
    """
    if type(identifier) is not str or _CORRELATION.fullmatch(identifier) is None:
        raise InvalidArgumentError(f"{what} must be 1 to 128 printable ASCII characters")
    return identifier
