"""A log of what a process did, a JSON object a line, that survives the process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """Appends records; each is in the file when `write` returns, also when the process is killed.

    Args:
        path: the file, made when it is missing; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        flags = os.O_APPEND | os.O_CREAT | os.O_WRONLY
        self._file = None if path is None else os.open(path, flags, 0o600)

    def write(self, what: str, **members: Any) -> None:
        """Append a record, with the time on the monotonic clock that all processes share."""
        if self._file is not None:
            record = {"what": what, "at": time.monotonic(), **members}
            os.write(self._file, json.dumps(record).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Return the records in order; an incomplete last line is skipped."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)
