"""A service in a process of its own, started with `weenats run`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from testkit.forked_commands import ForkedCommand, forked_command

TARGET: Final = "receipts.handlers:Receipts"
TEA: Final = '{"name": "Tea", "price": 0.1, "quantity": 3}'
"""A payload of the command `add-item` of receipts."""


@contextmanager
def weenats_run(*arguments: str, cwd: Path) -> Iterator[tuple[ForkedCommand, dict[str, Any]]]:
    """Run a service in a process group of its own.

    Returns:
        The process, and what it printed about itself.
    """
    with forked_command("run", *arguments, "--json", cwd=cwd) as process:
        first = process.stdout.readline()
        assert first, process.communicate(60)[1]
        yield process, json.loads(first)
