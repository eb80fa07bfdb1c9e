"""Power loss: the files of a server are those of its last sync again."""

from __future__ import annotations

import shutil
from pathlib import Path

from testkit.server_files import store_of
from weenats.testing import NatsServer


class Disk:
    """The disk of a server, which keeps what was synced.

    Args:
        server: the server, which is running.
        folder: a folder for the copy.
    """

    def __init__(self, server: NatsServer, folder: Path) -> None:
        self._server = server
        self._synced = folder / "synced"

    def sync(self) -> None:
        """Keep all files as they are now, as the server does after each `sync_interval`."""
        shutil.rmtree(self._synced, ignore_errors=True)
        shutil.copytree(self._store, self._synced)

    def lose_power(self, kept: str = "") -> None:
        """End the server at once, with all that was written since the last sync.

        Args:
            kept: a pattern of folders that the machine happened to write before, below the store.
        """
        self._server.kill()
        folders = [*self._store.glob(kept)] if kept else []
        assert bool(folders) == bool(kept), kept
        for folder in folders:
            place = self._synced / folder.relative_to(self._store)
            shutil.copytree(folder, place, dirs_exist_ok=True)
        shutil.rmtree(self._store)
        shutil.copytree(self._synced, self._store)

    @property
    def _store(self) -> Path:
        return store_of(self._server)
