"""A limit of how often a function may be called, for tests of cost that measure no time."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest


def limit_calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, limit: int) -> None:
    """Let a function fail when it is called that often.

    Args:
        monkeypatch: puts the function back at the end of the test.
        owner: the class or module that has the function.
        name: the name of the function.
        limit: how many calls are too many.
    """
    real, calls = getattr(owner, name), count(1)

    def counted(*arguments: Any) -> Any:
        assert next(calls) < limit
        return real(*arguments)

    monkeypatch.setattr(owner, name, counted)
