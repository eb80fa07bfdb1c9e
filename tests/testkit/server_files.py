"""The files of a nats-server."""

from __future__ import annotations

import shutil
from pathlib import Path

from weenats.testing import NatsServer


def store_of(server: NatsServer) -> Path:
    """Return the folder of all that a running server stores."""
    assert server._folder is not None
    return server._folder / "store"


def finish_removals(server: NatsServer) -> None:
    """Remove the files of deleted streams, which the server does some time after its answer.

    Until then it keeps the files of the next stream of that name that is deleted, and the one
    that is created afterwards begins with their messages.
    """
    for removed in store_of(server).glob("jetstream/*/streams/.*"):
        shutil.rmtree(removed, ignore_errors=True)
