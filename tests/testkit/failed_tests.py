"""A plugin of pytest: what a failed test leaves open makes no other test fail."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Free the variables of a failed test.

    Its traceback keeps them until a test after it has begun, which would then be blamed for every
    connection and file that was not closed.
    """
    failures = item.session.testsfailed
    result = yield
    if item.session.testsfailed > failures:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            vars(sys).pop(name, None)
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            with warnings.catch_warnings(action="ignore"):
                gc.collect()
        finally:
            sys.unraisablehook = hook
    return result
