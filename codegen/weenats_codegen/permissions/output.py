"""Permissions as a NATS server reads them: configuration text, and the claims of a user JWT."""

import json
from collections.abc import Sequence
from typing import Final

from weenats_codegen.permissions.entries import Entry, Permissions

_EVERYTHING: Final = ">"
"""Denied if nothing is allowed: NATS takes an empty list for all subjects."""
_MAX_REPLIES: Final = 2
"""One, and one that NATS counts when the caller cancels, in the name of the same reply subject."""


def to_config(permissions: Permissions) -> str:
    """Return the member `permissions` of a user in a server's configuration file."""
    lines = [
        "permissions: {",
        *_block("publish", permissions.publish),
        *_block("subscribe", permissions.subscribe),
    ]
    if permissions.reply_within is not None:
        expires = _duration(permissions.reply_within)
        replies = f'{{max: {_MAX_REPLIES}, expires: "{expires}"}}'
        lines.append(f"  allow_responses: {replies}  # replies")
    return "\n".join([*lines, "}"])


def to_claims(permissions: Permissions) -> dict[str, object]:
    """Return the members `pub`, `sub` and `resp` of the claim `nats` of a user JWT."""
    claims: dict[str, object] = {
        "pub": _lists(permissions.publish),
        "sub": _lists(permissions.subscribe),
    }
    if permissions.reply_within is not None:
        nanoseconds = round(permissions.reply_within * 1000) * 1_000_000
        claims["resp"] = {"max": _MAX_REPLIES, "ttl": nanoseconds}
    return claims


def _block(name: str, entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return [f"  {name}: {{deny: {json.dumps([_EVERYTHING])}}}"]
    texts = [json.dumps(entry.subject) for entry in entries]
    width = max(map(len, texts))
    lines = [
        f"      {text:{width}}  # {entry.purpose}"
        for text, entry in zip(texts, entries, strict=True)
    ]
    return [f"  {name}: {{", "    allow: [", *lines, "    ]", "  }"]


def _lists(entries: Sequence[Entry]) -> dict[str, list[str]]:
    return {"allow": [entry.subject for entry in entries]} if entries else {"deny": [_EVERYTHING]}


def _duration(seconds: float) -> str:
    return f"{int(seconds)}s" if seconds.is_integer() else f"{round(seconds * 1000)}ms"
