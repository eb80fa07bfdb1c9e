"""Message headers: reading without regard to case, checks and encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final

from weenats.errors import InvalidArgumentError

__all__ = [
    "DIGEST",
    "ERROR",
    "ERROR_CODE",
    "MESSAGE_ID",
    "NO_HEADERS",
    "PROPAGATED",
    "RETRY_AFTER",
    "TIMEOUT",
    "Headers",
    "check",
    "digest_of",
    "encode",
]
TIMEOUT: Final = "Wee-Timeout"
"""The time that is left until the deadline of the caller, in milliseconds."""
RETRY_AFTER: Final = "Wee-Retry-After"
"""The `retryAfter` of an error: the time until a retry makes sense, in milliseconds."""
ERROR: Final = "Nats-Service-Error"
"""The text of an error (ADR-32)."""
ERROR_CODE: Final = "Nats-Service-Error-Code"
"""The number of an error (ADR-32)."""
MESSAGE_ID: Final = "Wee-Message-Id"
"""The id of the request that a cancellation ends."""
DIGEST: Final = "Wee-Message-Digest"
"""The digest of the payload of the request that a cancellation ends, see `digest_of`."""
PROPAGATED: Final = ("traceparent", "tracestate", "baggage")
"""W3C trace context and baggage, which messages that a handler sends inherit."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED_PREFIXES: Final = ("nats-", "wee-")
_RESERVED_NAMES: Final = frozenset({"status", "description", *PROPAGATED})
_TIMEOUT_FIRST: Final = b"NATS/1.0\r\nWee-Timeout: "
_FIRST_LINE_LENGTH: Final = len(b"NATS/1.0")


class Headers(Mapping[str, str]):
    """The headers of a received message.

    Names are compared without regard to case. Of repeated headers the last one counts. Lines that
    are not headers are ignored.

    Args:
        block: the header block as on the wire.

    Attributes:
        block: the header block as on the wire.
    """

    __slots__ = ("_known", "block")

    def __init__(self, block: bytes = b"") -> None:
        self.block: Final = block
        self._known: dict[str, str] | None = None

    @property
    def _values(self) -> dict[str, str]:
        if (values := self._known) is None:  # parsed on demand: most handlers do not use headers
            values = self._known = {}
            lines = self.block[_FIRST_LINE_LENGTH:].decode("utf-8", "replace").split("\r\n")
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                if colon:
                    values[name.lower()] = value.strip()
        return values

    @staticmethod
    def timeout_of(block: bytes) -> str | None:
        """Return the `Wee-Timeout` of a header block, None when it has none.

        Clients of weenats send it as the first header, so that the block need not be parsed.

        Args:
            block: the header block as on the wire.
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


def check(headers: Mapping[str, str]) -> None:
    """Check headers that a user wants to send.

    Args:
        headers: the headers.

    Raises:
        InvalidArgumentError: a header is reserved or malformed (RFC 7230).
    """
    for name, value in headers.items():
        if type(name) is not str or _TOKEN.fullmatch(name) is None:
            raise InvalidArgumentError(f"{name!r} is not a valid header name")
        lowered = name.lower()
        if lowered in _RESERVED_NAMES or lowered.startswith(_RESERVED_PREFIXES):
            raise InvalidArgumentError(f"the header {name} is reserved for weenats and NATS")
        if type(value) is not str:
            raise InvalidArgumentError(f"the value of the header {name} must be text")
        if not value.isprintable():
            raise InvalidArgumentError(
                f"the value of the header {name} contains a character that is not printable"
            )


def digest_of(payload: bytes) -> str:
    """Return the SHA-256 digest of a payload, in hexadecimal.

    Args:
        payload: the payload.
    """
    return sha256(payload).hexdigest()


def encode(headers: Mapping[str, str]) -> bytes:
    """Return headers as lines on the wire, each one with CR LF at its end.

    Args:
        headers: the headers.
    """
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
