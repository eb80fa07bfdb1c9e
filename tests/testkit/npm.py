"""Packages of npm that tests use where they are installed."""

import os
from pathlib import Path
from typing import Final

import pytest

from testkit.paths import REPOSITORY

_FOLDER: Final = REPOSITORY / ".venvs/npm"
REQUIRED: Final = os.environ.get("WEENATS_BROWSER_TESTS") == "required"
"""Whether tests fail, and do not skip, without npm packages and Chromium."""


def npm_file(path: str) -> Path:
    """Return a file of an installed npm package; without it the test is skipped.

    Args:
        path: the path inside `node_modules`.
    """
    file = _FOLDER / "node_modules" / path
    if not file.is_file():
        package = "/".join(path.split("/")[: 1 + path.startswith("@")])
        unavailable(f"{package} is not installed: npm install --prefix .venvs/npm {package}")
    return file


def unavailable(reason: str) -> None:
    """Skip the test, or let it fail where nothing excuses a skip."""
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
