"""Permissions as a NATS server reads them: configuration text, and the claims of a user JWT."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats_codegen.permissions.model import Entry, Permissions

_NOTHING: Final = ">"
"""What is denied where nothing is allowed: NATS takes an empty list for all subjects."""
_MAX_REPLIES: Final = 2
"""One, and one that NATS counts when the caller gives up, in the name of the same reply subject."""
_NANOSECONDS: Final = 1_000_000
_MILLISECONDS: Final = 1000


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
        nanoseconds = _milliseconds(permissions.reply_within) * _NANOSECONDS
        claims["resp"] = {"max": _MAX_REPLIES, "ttl": nanoseconds}
    return claims


def _block(name: str, entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return [f"  {name}: {{deny: {json.dumps([_NOTHING])}}}"]
    texts = [json.dumps(entry.subject) for entry in entries]
    width = max(map(len, texts))
    return [
        f"  {name}: {{",
        "    allow: [",
        *(
            f"      {text:{width}}  # {entry.purpose}"
            for text, entry in zip(texts, entries, strict=True)
        ),
        "    ]",
        "  }",
    ]


def _lists(entries: Sequence[Entry]) -> dict[str, list[str]]:
    return {"allow": [entry.subject for entry in entries]} if entries else {"deny": [_NOTHING]}


def _duration(seconds: float) -> str:
    return f"{int(seconds)}s" if seconds.is_integer() else f"{_milliseconds(seconds)}ms"


def _milliseconds(seconds: float) -> int:
    return round(seconds * _MILLISECONDS)
