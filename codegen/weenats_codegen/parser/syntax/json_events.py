"""JSON text -> events. The standard library reads it; duplicates and numbers stay as written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.parser.syntax.events import (
    MAX_DEPTH,
    TOO_DEEP,
    Close,
    Event,
    Flaw,
    Open,
    Scalar,
    Unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONSTANTS: Final = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object as they stand in the text, duplicates included."""


class _Number(str):
    """A JSON number, as it is written."""

    __slots__ = ()


def json_events(text: str) -> Iterator[Event]:
    """Read JSON; raise Unreadable if it is none."""
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=lambda name: _Number(_CONSTANTS[name]),
        )
    except RecursionError:
        raise Unreadable(TOO_DEEP) from None
    except ValueError as error:
        raise Unreadable(Flaw("", f"is no JSON ({error})", "mend its syntax")) from None
    return _walk(value, 0)


def _walk(value: object, depth: int) -> Iterator[Event]:
    if depth > MAX_DEPTH:
        raise Unreadable(TOO_DEEP)
    if isinstance(value, _Pairs):
        yield Open(is_mapping=True)
        for key, member in value:
            yield Scalar(key, plain=False)
            yield from _walk(member, depth + 1)
        yield Close()
    elif isinstance(value, list):
        yield Open(is_mapping=False)
        for item in cast("list[object]", value):
            yield from _walk(item, depth + 1)
        yield Close()
    elif isinstance(value, str):
        yield Scalar(str(value), plain=isinstance(value, _Number))
    else:
        yield Scalar(json.dumps(value), plain=True)
