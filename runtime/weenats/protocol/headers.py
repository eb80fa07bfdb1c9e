"""Message headers: read without regard to case, written only when they are the user's to set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from weenats.errors import InvalidArgumentError

TIMEOUT: Final = "Wee-Timeout"
"""Milliseconds that the caller still waits."""
RETRY_AFTER: Final = "Wee-Retry-After"
"""Milliseconds after which another try makes sense, beside a failure that says so."""
ERROR: Final = "Nats-Service-Error"
"""The text of a failure (ADR-32)."""
ERROR_CODE: Final = "Nats-Service-Error-Code"
"""The number of a failure (ADR-32)."""
PROPAGATED: Final = ("traceparent", "tracestate", "baggage")
"""W3C trace context and baggage: what a handler sends on carries them without being told."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED_PREFIXES: Final = ("nats-", "wee-")
_RESERVED_NAMES: Final = frozenset({"status", "description", *PROPAGATED})
_TIMEOUT_FIRST: Final = b"NATS/1.0\r\nWee-Timeout: "
_FIRST_LINE_LENGTH: Final = len(b"NATS/1.0")


class Headers(Mapping[str, str]):
    """Headers of a received message.

    Names are compared without case, of a repeated name the last one holds.

    Lines of the block that are no headers are passed over.
    """

    __slots__ = ("_block", "_known")

    def __init__(self, block: bytes = b"") -> None:
        self._block = block
        self._known: dict[str, str] | None = None

    @property
    def block(self) -> bytes:
        """The headers as they stand on the wire."""
        return self._block

    @property
    def _values(self) -> dict[str, str]:
        # Most handlers never look: the block is read when somebody does.
        if self._known is None:
            self._known = _parse(self._block)
        return self._known

    @staticmethod
    def timeout_of(block: bytes) -> str | None:
        """Return the `Wee-Timeout` of a header block.

        At once where our clients write it, else by reading the whole.
        """
        if block.startswith(_TIMEOUT_FIRST):
            value = block[len(_TIMEOUT_FIRST) :].partition(b"\r\n")[0]
            return value.decode("utf-8", "replace").strip()
        return Headers(block).get(TIMEOUT) if block else None

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self)})"


NO_HEADERS: Final = Headers()


def _parse(block: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in block[_FIRST_LINE_LENGTH:].decode("utf-8", "replace").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            values[name.lower()] = value.strip()
    return values


def check(headers: Mapping[str, str]) -> None:
    """Refuse headers that are not the user's to set, or that are no headers (RFC 7230).

    Raises:
        InvalidArgumentError: names the header.
    """
    for name, value in headers.items():
        if type(name) is not str or _TOKEN.fullmatch(name) is None:
            raise InvalidArgumentError(f"{name!r} is no header name")
        lowered = name.lower()
        if lowered in _RESERVED_NAMES or lowered.startswith(_RESERVED_PREFIXES):
            raise InvalidArgumentError(f"the header {name} is set by weenats or NATS alone")
        if type(value) is not str:
            raise InvalidArgumentError(f"the value of the header {name} must be text")
        if not value.isprintable():
            raise InvalidArgumentError(
                f"the value of the header {name} holds a character that no header may carry"
            )


def encode(headers: Mapping[str, str]) -> bytes:
    """Return the header lines as they stand on the wire, each ended by CR LF."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
