"""Entries of the bucket of kept replies: how they are named, and what they hold."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import TypeAdapter
from pydantic_core import from_json

if TYPE_CHECKING:
    from weenats.context import RequestContext

__all__ = ["FREE", "Entry", "decode_entry", "done", "entry_name", "fingerprint", "running"]
_DIGEST_SIZE: Final = 20
_REPLY: Final = b'"reply":'
FREE: Final = b'{"state":"free"}'
"""The value of an entry whose command may run again: it failed in a way that may pass."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the bucket.

    Attributes:
        state: whether the command runs, has a reply that is kept, or may run again.
        fingerprint: that of the payload; "" in an entry that is free.
        reply: the reply as it was sent; b"" in an entry without one.
    """

    state: Literal["running", "done", "free"]
    fingerprint: str = ""
    reply: bytes = field(default=b"", repr=False)


def entry_name(context: RequestContext) -> str:
    """Return the name of the entry of a command: one for each operation, key, caller and message.

    Args:
        context: the request.
    """
    principal = context.principal
    caller = None if principal is None else [principal.issuer, principal.id]
    parts = [context.operation.subject, context.key, caller, context.message_id]
    return _digest(json.dumps(parts))


def fingerprint(context: RequestContext) -> str:
    """Return a digest of the payload, the same whatever the order of its members.

    Args:
        context: the request.
    """
    envelope: dict[str, Any] = json.loads(context.envelope, parse_float=_number)
    payload = envelope.get(context.operation.kind)
    return _digest(json.dumps(payload, sort_keys=True))


def running(instance: str, claim: str, fingerprint: str) -> bytes:
    """Return the value of an entry whose command runs.

    Args:
        instance: the id of the instance that runs it.
        claim: an id, by which the instance knows its own entry.
        fingerprint: that of the payload.
    """
    members = {
        "state": "running",
        "instance": instance,
        "claim": claim,
        "fingerprint": fingerprint,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def done(fingerprint: str, reply: bytes) -> bytes:
    """Return the value of an entry whose command has ended.

    Args:
        fingerprint: that of the payload.
        reply: the reply, which is JSON.
    """
    return b'{"state":"done","fingerprint":"%b",%b%b}' % (fingerprint.encode(), _REPLY, reply)


def decode_entry(value: bytes) -> Entry | None:
    """Return what an entry holds, None when it is not valid.

    Args:
        value: the value of the entry.
    """
    # The reply is not read here: around it, the entry may nest deeper than a reply may.
    head, mark, reply = value.partition(_REPLY)
    try:
        members = from_json(head + mark + b"0}" if mark else value)
        entry = _ENTRY.validate_python({**members, "reply": reply[:-1]})
    except (ValueError, TypeError):
        return None
    return None if entry.state == "done" and not mark else entry


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=_DIGEST_SIZE).hexdigest()


def _number(text: str) -> list[str]:
    with suppress(InvalidOperation):  # its exponent is too large for a decimal
        text = str(Decimal(text))
    return ["number", text]


_ENTRY: Final = TypeAdapter(Entry)
