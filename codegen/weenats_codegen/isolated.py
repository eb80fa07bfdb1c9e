"""Comparing documents in a process of its own.

A document may come from anyone, and comparing it may take forever: a client cannot be held up by
it, and does not load the generator.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

_TIMEOUT: Final = 8.0
"""Seconds, fewer than a client waits; hundreds of operations take less."""
_INTERPRETERS: Final = ("python", "pypy")


def breaking(client: str, service: bytes, digest: str) -> list[str]:
    """Return what of a running service breaks a client, one line each.

    It is the entry point of the runtime for clients, where the generator is installed.

    Args:
        client: The document of the contract that the client was generated from.
        service: The document that a running service sent.
        digest: The digest that the service reports.

    Raises:
        ValueError: A document is not valid, or that of the service is not the one it reports, or
            the documents cannot be compared in time.
    """
    if not Path(sys.executable or "").name.startswith(_INTERPRETERS):  # embedded in a program
        raise ValueError("there is no Python interpreter to compare the documents")
    request = json.dumps([client, service.decode(errors="surrogateescape"), digest])
    command = [sys.executable, "-P", "-m", "weenats_codegen.documents"]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, no argument of others
            command, input=request.encode(), capture_output=True, check=False, timeout=_TIMEOUT
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"the documents cannot be compared: {type(error).__name__}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").splitlines() or ["the comparison failed"]
        raise ValueError(lines[-1])
    findings: list[str] = json.loads(done.stdout)
    return findings
