"""The settings of a process of a run: its only argument, in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from weenats import ConnectionOptions

QUEUE_GROUP: Final = "receipt-workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """The name of a process, and where it finds the others.

    Attributes:
        name: the connection's name, and that of the journal.
        servers: URLs.
        user: of the connection.
        password: of the connection.
        issuer: where keys are, or tokens.
        journal: the file; None keeps nothing.
        seed: the seed of its random choices.
        eventful: whether handlers are slow and fail, and callers cancel calls.
        pause: seconds between the calls of a caller, on average.
        rate_limit: requests that each client may make of each instance in a second.
    """

    name: str
    servers: tuple[str, ...]
    user: str
    password: str
    issuer: str
    journal: str | None
    seed: int
    eventful: bool = True
    pause: float = 0.05
    rate_limit: float = 40.0

    @classmethod
    def parse(cls, argument: str) -> Self:
        """Return the settings in an argument."""
        members = json.loads(argument)
        return cls(**{**members, "servers": tuple(members["servers"])})

    def argument(self) -> str:
        """Return the settings as an argument."""
        return json.dumps(asdict(self))

    @property
    def journal_path(self) -> Path | None:
        """The file of the journal."""
        return None if self.journal is None else Path(self.journal)

    @property
    def connection(self) -> ConnectionOptions:
        """Connection options that notice a dead peer soon."""
        return ConnectionOptions(
            name=self.name,
            user=self.user,
            password=self.password,
            connect_timeout=2,
            reconnect_wait=0.1,
            ping_interval=0.5,
        )
