"""Nesting limit of the JSON reader for tokens and key sets."""

from __future__ import annotations

import pytest

from weenats.auth.json_reader import JsonError, read_object


def nested(levels: int) -> bytes:
    """Return an object with this nesting depth, and a closed list beside it."""
    return b'{"b":[],"a":' + b'{"a":' * (levels - 1) + b"1" + b"}" * levels


def test_nesting_is_limited_to_32_levels() -> None:
    """32 levels are accepted, 33 are rejected."""
    assert read_object(nested(32))["b"] == []
    with pytest.raises(JsonError, match=r"^nested more than 32 levels deep$"):
        read_object(nested(33))


def test_closed_brackets_do_not_count_as_depth() -> None:
    """A wide document with little nesting is accepted."""
    wide = b'{"a":[' + b"[{}]," * 500 + b"[]]}"
    assert len(read_object(wide)["a"]) == 501


def test_brackets_in_strings_count_as_depth() -> None:
    """Brackets inside strings count too, because telling them apart would cost more."""
    assert read_object(b'{"a":"%b"}' % (b"[" * 31))
    with pytest.raises(JsonError, match=r"^nested more than 32 levels deep$"):
        read_object(b'{"a":"%b"}' % (b"[" * 32))
