"""Ways to turn a valid message into a malformed one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any, Final

from testkit.chaos.frames import Frame

Mutation = Callable[[Frame, Random], Frame]

ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, -0.0, 0.1, 1e308, -1e308, 2**53, 2**64, 10**400, 1e-320,
    "", " ", "x" * 300, "\x00", "\ud800", "\u202e", "é" * 50, "$SRV.PING", "NaN",
    [], [[]], {}, {"": None}, [None] * 50, {"a": {"b": [{}]}}, {"type": "jwt", "token": ""},
)  # fmt: skip
_RAW_VALUES: Final = (
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"01", b"1.", b"0x1", b"'a'", b"",
    b"[" * 5000, b'{"a":' * 300, b'"\xff\xfe"', b'"\\ud800"', b'"\\u0000"', b"9" * 5000,
)  # fmt: skip
_HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Wee-Timeout": (
        "0", "-1", "1", "2", "1e3", "NaN", "inf", "9" * 400, "", " ", "0x10", "1_0", "\u0661",
        "5000\r\nWee-Timeout: x", "99999999999999999999",
    ),
    "traceparent": (
        "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "g" * 32 + "-" + "b" * 16 + "-01",
        "", "-", "00" * 500, "00-" + "A" * 32 + "-" + "B" * 16 + "-zz",
    ),
    "tracestate": ("=", "a=b," * 100, "\x7f=1", "x" * 2000),
    "baggage": ("a=" + "b" * 9000, "=,;=", "%zz=%", "a=b," * 300),
    "Nats-Service-Error": ("boom",),
    "Nats-Service-Error-Code": ("500", "x"),
    "Nats-Msg-Id": ("1",),
    "Status": ("503",),
    "x" * 300: ("y" * 3000,),
    "\xff\xfe": ("\xff",),
    ":": (":",),
}  # fmt: skip
_BLOCKS: Final = (
    b"", b"\r\n", b" 503\r\n\r\n", b" 503 \r\n\r\n", b" 100 Idle\r\n\r\n", b"\r\nno colon\r\n\r\n",
    b"\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"\r\nA: b", b"\r\n: b\r\n\r\n", b"\xff\xff\r\n\r\n",
)  # fmt: skip


def flip_bytes(frame: Frame, random: Random) -> Frame:
    """Change some bytes of the payload."""
    payload = bytearray(frame.payload)
    for _ in range(random.randint(1, 4)):
        if payload:
            payload[random.randrange(len(payload))] = random.randrange(256)
    return replace(frame, payload=bytes(payload))


def truncate(frame: Frame, random: Random) -> Frame:
    """Cut the payload off, or cut a piece out of it."""
    begin = random.randint(0, len(frame.payload))
    end = random.choice([len(frame.payload), random.randint(begin, len(frame.payload))])
    return replace(frame, payload=frame.payload[:begin] + frame.payload[end:])


def repeat(frame: Frame, random: Random) -> Frame:
    """Insert a copy of a part of the payload somewhere."""
    begin = random.randint(0, len(frame.payload))
    piece = frame.payload[begin : begin + random.randint(0, 40)] * random.randint(1, 20)
    place = random.randint(0, len(frame.payload))
    return replace(frame, payload=frame.payload[:place] + piece + frame.payload[place:])


def change_member(frame: Frame, random: Random) -> Frame:
    """Drop a member of the JSON, change its value or name, or duplicate it."""
    document = _document(frame)
    holder: Any = random.choice(_objects(document) or [document])
    if not isinstance(holder, dict) or not holder:
        return flip_bytes(frame, random)
    name = random.choice(list(holder))
    marker, raw = "a mark", b""
    match random.choice(["drop", "change", "rename", "double", "raw"]):
        case "drop":
            del holder[name]
        case "change":
            holder[name] = _another(holder[name], random)
        case "rename":
            holder[random.choice([name.upper(), f"{name}_", "", "__proto__"])] = holder.pop(name)
        case "double":
            holder[marker] = 0
            raw = json.dumps(name).encode() + b":" + json.dumps(random.choice(ODD_VALUES)).encode()
            return replace(frame, payload=_dumped(document).replace(b'"a mark":0', raw))
        case _:
            holder[name] = marker
            raw = random.choice(_RAW_VALUES)
    return replace(frame, payload=_dumped(document).replace(b'"a mark"', raw))


def set_header(frame: Frame, random: Random) -> Frame:
    """Set a header that some software reads to an invalid value."""
    name = random.choice(list(_HEADERS))
    line = f"{name}: {random.choice(_HEADERS[name])}\r\n".encode()
    return replace(frame, headers=b"\r\n" + line + frame.headers.removeprefix(b"\r\n"))


def spoil_headers(frame: Frame, random: Random) -> Frame:
    """Set an invalid header block, or change bytes of a valid one."""
    if frame.headers and random.random() < 0.5:
        block = bytearray(frame.headers)
        for _ in range(random.randint(1, 3)):
            block[random.randrange(len(block))] = random.randrange(256)
        return replace(frame, headers=bytes(block))
    return replace(frame, headers=random.choice(_BLOCKS))


def drop_reply(frame: Frame, random: Random) -> Frame:
    """Remove the reply subject."""
    return replace(frame, reply="")


def leave(frame: Frame, random: Random) -> Frame:
    """Leave the frame unchanged."""
    return frame


MUTATIONS: Final[tuple[Mutation, ...]] = (
    flip_bytes,
    truncate,
    repeat,
    change_member,
    change_member,
    change_member,
    set_header,
    set_header,
    spoil_headers,
    drop_reply,
    leave,
)


def mutated(frame: Frame, random: Random) -> Frame:
    """Return the frame with one to three mutations."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        frame = random.choice(MUTATIONS)(frame, random)
    return frame


def _another(value: Any, random: Random) -> Any:
    """Return another value, often one of the same type."""
    alike = [each for each in ODD_VALUES if isinstance(each, type(value))]
    if isinstance(value, int | float):
        alike = [each for each in ODD_VALUES if type(each) in {int, float}]
    return random.choice(alike if alike and random.random() < 0.5 else ODD_VALUES)


def _document(frame: Frame) -> Any:
    try:
        return json.loads(frame.payload)
    except (ValueError, RecursionError):
        return None


def _objects(document: Any) -> list[dict[str, Any]]:
    """Return all objects of a JSON document."""
    inner = document.values() if isinstance(document, dict) else document
    if not isinstance(inner, list | type({}.values())):
        return []
    found = [each for value in inner for each in _objects(value)]
    return [document, *found] if isinstance(document, dict) else found


def _dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=True, allow_nan=True).encode()
