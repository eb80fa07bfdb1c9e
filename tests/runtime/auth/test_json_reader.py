"""The nesting limit of the strict JSON parser."""

from __future__ import annotations

import pytest

from weenats.auth.json_reader import JsonError, read_object


def nested(levels: int) -> bytes:
    """Return an object with a number of levels, beside a value that is closed already."""
    return b'{"b":[],"a":' + b'{"a":' * (levels - 1) + b"1" + b"}" * levels


def test_thirty_two_levels_are_read() -> None:
    """32 levels are accepted, 33 are not."""
    assert read_object(nested(32))["b"] == []
    with pytest.raises(JsonError, match=r"^nested more than 32 levels deep$"):
        read_object(nested(33))


def test_width_is_no_depth() -> None:
    """Closed arrays and objects do not count."""
    wide = b'{"a":[' + b"[{}]," * 500 + b"[]]}"
    assert len(read_object(wide)["a"]) == 501


def test_brackets_in_texts_are_levels() -> None:
    """Brackets within strings count as levels, since ignoring them would cost more."""
    assert read_object(b'{"a":"%b"}' % (b"[" * 31))
    with pytest.raises(JsonError, match=r"^nested more than 32 levels deep$"):
        read_object(b'{"a":"%b"}' % (b"[" * 32))
