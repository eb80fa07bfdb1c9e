"""The protocol between a run and its processes: a line of words there, a line of JSON back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any


async def commands() -> AsyncIterator[str]:
    """Return the commands on standard input; they end when the parent process has ended."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    try:
        while line := await reader.readline():
            yield line.decode().strip()
    finally:
        pipe.close()


def reply(**members: Any) -> None:
    """Answer a command."""
    print(json.dumps(members), flush=True)
