"""Messages as they are written to a nats-server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """A message to be published.

    Attributes:
        subject: where to; no blank, no line end.
        reply: where the answer goes, "" for nowhere.
        payload: any bytes.
        headers: lines, any bytes; none when there are none.
    """

    subject: str
    reply: str
    payload: bytes
    headers: bytes = b""

    def encode(self) -> bytes:
        """Return the protocol line with the right sizes, and the message."""
        if not self.headers:
            head = f"PUB {self.subject} {self.reply} {len(self.payload)}\r\n"
            return head.encode() + self.payload + b"\r\n"
        block = b"NATS/1.0" + self.headers
        size = len(block)
        head = f"HPUB {self.subject} {self.reply} {size} {size + len(self.payload)}\r\n"
        return head.encode() + block + self.payload + b"\r\n"
