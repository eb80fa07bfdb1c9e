"""How the world speaks to its processes: a word a line to them, a JSON document a line back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any


async def orders() -> AsyncIterator[str]:
    """Return the words from standard input; it ends when whoever gives them is gone."""
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


def tell(**members: Any) -> None:
    """Answer an order."""
    print(json.dumps(members), flush=True)
