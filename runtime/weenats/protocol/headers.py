"""Message headers: reading without regard to case, checks and encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Final, cast

from weenats.errors import InvalidArgumentError

__all__ = [
    "AT_REVISION",
    "AT_TIME",
    "CONTENT_ENCODING",
    "DIGEST",
    "ERROR",
    "ERROR_CODE",
    "HEADER_FRAMING",
    "IF_REVISION",
    "LARGE",
    "MESSAGE_ID",
    "NO_HEADERS",
    "PROPAGATED",
    "RETRY_AFTER",
    "TIMEOUT",
    "TOKEN",
    "TOKEN_REFUSED",
    "Headers",
    "check",
    "digest_of",
    "encode",
]
CONTENT_ENCODING: Final = "Content-Encoding"
"""How the payload is compressed (RFC 9110, 8.4): "gzip" or absent."""
TIMEOUT: Final = "Wee-Timeout"
"""The time that is left until the deadline of the caller, in milliseconds."""
RETRY_AFTER: Final = "Wee-Retry-After"
"""The `retryAfter` of an error: the time until a retry makes sense, in milliseconds."""
TOKEN_REFUSED: Final = "Wee-Token-Refused"  # noqa: S105 - a name
"""Of an UNAUTHENTICATED error: "true" when the caller was refused before the handler began."""
LARGE: Final = "Wee-Large"
"""The name, size and digest of a payload or a result that is in the object store."""
ERROR: Final = "Nats-Service-Error"
"""The text of an error (ADR-32)."""
ERROR_CODE: Final = "Nats-Service-Error-Code"
"""The number of an error (ADR-32)."""
MESSAGE_ID: Final = "Wee-Message-Id"
"""The id of the request that a cancellation ends."""
DIGEST: Final = "Wee-Message-Digest"
"""The digest of the payload of the request that a cancellation ends, see `digest_of`."""
IF_REVISION: Final = "Wee-If-Revision"
"""The revision that an aggregate must have, for a command on one that is kept in a stream."""
AT_REVISION: Final = "Wee-At-Revision"
"""Of the query `get` of an aggregate that is kept in a stream: the revision to answer."""
AT_TIME: Final = "Wee-At-Time"
"""Of the query `get` of an aggregate that is kept in a stream: the time to answer, ISO 8601."""
PROPAGATED: Final = ("traceparent", "tracestate", "baggage")
"""W3C trace context and baggage, which messages that a handler sends inherit."""

HEADER_FRAMING: Final = len(b"NATS/1.0\r\n\r\n")
"""The size of a header block without header lines, in bytes."""
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The names of headers and of entries of baggage (RFC 7230, 3.2.6)."""
_RESERVED_PREFIXES: Final = ("nats-", "wee-")
_RESERVED_NAMES: Final = frozenset({"status", "description", *PROPAGATED})
_TIMEOUT_LINE: Final = b"\r\nwee-timeout:"
_TIMEOUT_LENGTH: Final = len(_TIMEOUT_LINE)
_LISTS: Final = frozenset({"tracestate", "baggage"})
"""The headers whose lines are combined (W3C Trace Context, 3.3; W3C Baggage, 3)."""
_FIRST_LINE_LENGTH: Final = len(b"NATS/1.0")
_MAX_READ: Final = 64 * 1024
"""The part of a header block that is read, in bytes: it is read before authentication."""
_MAX_SENT: Final = 48 * 1024
"""The maximum size of headers of the user, in bytes: those of weenats and the trace come on top."""


class Headers(Mapping[str, str]):
    """The headers of a received message.

    Names are compared without regard to case. Of repeated headers the last one counts, except that
    the lines of `tracestate` and `baggage` are one list. Lines that are not headers are ignored,
    and so is what precedes the last 64 KiB.

    Args:
        block: the header block as on the wire.

    Attributes:
        block: the header block as on the wire.
    """

    __slots__ = ("_known", "block")

    def __init__(self, block: bytes = b"") -> None:
        self.block: Final = block
        self._known: dict[str, str] | None = None

    def may_have(self, name: bytes) -> bool:
        """Return whether there may be a header, without parsing; False is certain.

        Args:
            name: the name in lower case.
        """
        return name in self.block.lower()

    @property
    def _values(self) -> dict[str, str]:
        if (values := self._known) is None:  # parsed on demand: most handlers do not use headers
            values = self._known = {}
            lists: dict[str, list[str]] = {}
            block = self.block[_FIRST_LINE_LENGTH:][-_MAX_READ:]
            for line in block.decode("utf-8", "replace").split("\r\n")[1:]:
                name, colon, value = line.partition(":")
                if colon:
                    name = name.lower()
                    values[name] = value.strip()
                    if name in _LISTS:
                        lists.setdefault(name, []).append(values[name])
            for name, parts in lists.items():
                values[name] = ",".join(parts)
        return values

    @staticmethod
    def timeout_of(block: bytes) -> str | None:
        """Return the `Wee-Timeout` of a header block, None when it has none; the last one counts.

        The block is not parsed, which takes long for a large one: this is before authentication.

        Args:
            block: the header block as on the wire.
        """
        start = block.lower().rfind(_TIMEOUT_LINE, -_MAX_READ) + _TIMEOUT_LENGTH
        if start < _TIMEOUT_LENGTH:
            return None
        end = block.find(b"\r\n", start)
        # Not cached: any caller chooses the value, which may be as long as what is read.
        return block[start : None if end < 0 else end].decode("utf-8", "replace").strip()

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
        InvalidArgumentError: a header is reserved or malformed (RFC 7230), or they are no mapping.
    """
    if not isinstance(cast("object", headers), Mapping):
        kind = type(headers).__name__
        raise InvalidArgumentError(f"headers must be a mapping of names to texts, not {kind}")
    for name, value in headers.items():
        if type(name) is not str or TOKEN.fullmatch(name) is None:
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

    Raises:
        InvalidArgumentError: a name or value has a line break, which would begin another header,
            or is not valid Unicode; or they have more than 48 KiB.
    """
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if not lines.count("\n") == lines.count("\r") == len(headers):
        raise InvalidArgumentError("a header contains a line break")
    try:
        encoded = lines.encode()
    except UnicodeEncodeError:
        text = "a header contains text that is not valid Unicode"
    else:
        if len(encoded) <= _MAX_SENT:
            return encoded
        text = f"the headers have {len(encoded)} bytes, a message carries at most {_MAX_SENT}"
    raise InvalidArgumentError(text)  # outside of `except`: its context would have the headers
