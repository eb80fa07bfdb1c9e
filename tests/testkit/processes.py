"""Child processes that never outlive the test that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

_GRACE: Final = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def restore_interrupts() -> None:
    """Let SIGINT interrupt this process and its children if it is ignored.

    A shell without job control starts background jobs with SIGINT ignored. Children inherit that,
    and Ctrl-C, which tests send them, would never end them.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def python_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a Python program that imports what tests import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}


def without_coverage(**variables: str) -> dict[str, str]:
    """Return the environment of a program that coverage would only slow down, such as mypy."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        **variables,
    }


@contextmanager
def child_process(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process with text pipes; on leaving it is terminated, or killed after a while.

    Args:
        command: the program and its arguments.
        options: of `subprocess.Popen`.
    """
    with subprocess.Popen(command, text=True, **options) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(_GRACE)
                except subprocess.TimeoutExpired:
                    child.kill()


@asynccontextmanager
async def async_child_process(
    *command: str | Path, **options: Any
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process; on leaving it is terminated, or killed after a while.

    Args:
        command: the program and its arguments.
        options: of `asyncio.create_subprocess_exec`.
    """
    child = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(_GRACE):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
