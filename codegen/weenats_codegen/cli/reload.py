"""`weenats run --reload`: serves in a child process, which is replaced when files change."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Final

from weenats.service.signals import StopSignals
from weenats_codegen.cli.children import (
    MAX_TERMINATIONS,
    Child,
    child_environment,
    is_set_within,
    python,
)
from weenats_codegen.cli.output import warn
from weenats_codegen.cli.watching import CONTRACTS, PYTHON, Snapshot, changed, snapshot

_INTERVAL: Final = 0.3
"""Seconds between two looks at the files."""
_SHARE: Final = 0.1
"""The share of time that looking at the files may take."""
_DRAIN_LIMIT: Final = 40.0
"""Seconds that the old process may take to end: more than the default drain timeout."""
_WRONG_USAGE: Final = 2
_SHOWN: Final = 3
_GENERATE: Final = "import sys; from weenats_codegen.cli.main import main; sys.exit(main())"
_STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class Project:
    """What is watched.

    Attributes:
        code: The folders of Python modules.
        schemas: The folder of contracts.
        out: The folder of generated packages.
    """

    code: tuple[Path, ...]
    schemas: Path
    out: Path

    @classmethod
    def of(cls, target: str, schemas: Path, out: Path) -> "Project":
        """Return the project of a target: its own folder too, if it is somewhere else."""
        here = Path.cwd()
        folders = [here]
        packages = Path(os.path.realpath(out))  # `resolve` raises RuntimeError for a link to itself
        if not packages.is_relative_to(here):
            folders.append(packages)
        top = target.partition(":")[0].partition(".")[0]
        with suppress(ImportError, ValueError):
            spec = find_spec(top) if top else None
            for location in (spec and spec.submodule_search_locations) or ():
                if not any(Path(location).resolve().is_relative_to(each) for each in folders):
                    folders.append(Path(location).resolve())
        return cls(tuple(folders), schemas, out)

    @property
    def is_generated(self) -> bool:
        """Whether changes of contracts can be generated: both folders exist."""
        return self.schemas.is_dir() and self.out.is_dir()

    def modules(self) -> Snapshot:
        """Return the current state of the Python modules."""
        return snapshot(self.code, PYTHON)

    def contracts(self) -> Snapshot:
        """Return the current state of the contracts."""
        return snapshot([self.schemas], CONTRACTS) if self.is_generated else {}


def reload(
    target: str, servers: Sequence[str], project: Project, *, embedded: bool, as_json: bool
) -> int:
    """Serve MODULE:NAME until SIGTERM or Ctrl-C, and again after each change.

    Args:
        target: What is served.
        servers: The servers, none for those of the environment or the builder.
        project: What is watched.
        embedded: Whether to start a nats-server, which stays for all reloads.
        as_json: Whether services are announced as JSON.

    Returns:
        The exit code of the last service.
    """
    arguments = [target, *(["--json"] if as_json else [])]
    with child_environment(servers, embedded=embedded) as environment:
        # .pyc files know the time of their module in full seconds only.
        environment["PYTHONDONTWRITEBYTECODE"] = "1"
        return asyncio.run(_Reloader(arguments, environment, project).run())


class _Reloader:
    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], project: Project
    ) -> None:
        self._arguments = arguments
        self._environment = environment
        self._project = project
        self._stop = asyncio.Event()
        self._child: Child | None = None

    async def run(self) -> int:
        with StopSignals(self._on_signal):
            modules, contracts = self._project.modules(), self._project.contracts()
            await self._start()
            while await self._changes(modules, contracts):
                now = self._project.contracts()
                if changed(contracts, now) and not await self._generate():
                    contracts = now
                    continue
                contracts = now
                files = changed(modules, modules := self._project.modules())
                if files:
                    warn(f"reloading, since {_listed(files)} changed")
                    await self._end()
                    if not self._stop.is_set():
                        await self._start()
            return max(await self._end(), 0)

    async def _changes(self, modules: Snapshot, contracts: Snapshot) -> bool:
        """Wait for the next change, and until nothing changes any more; False for the end."""
        is_told, last, pause = False, (modules, contracts), _INTERVAL
        while not await is_set_within(self._stop, pause):
            code = None if self._child is None else self._child.returncode
            if code is not None and not is_told:
                if code == _WRONG_USAGE:
                    return False
                warn("the service has ended; waiting for a change")
                is_told = True
            began = monotonic()
            now = self._project.modules(), self._project.contracts()
            pause = max(_INTERVAL, (monotonic() - began) / _SHARE)
            if now == last and now != (modules, contracts):
                return True
            last = now
        return False

    async def _start(self) -> None:
        self._child = None
        self._child = await Child.start(self._arguments, self._environment)

    async def _end(self) -> int:
        """Stop the service after its requests are finished; kill it if it does not end."""
        child = self._child
        if child is None:
            return 0
        if not child.sent:
            child.signal()
        try:
            return await asyncio.wait_for(child.wait(), _DRAIN_LIMIT)
        except TimeoutError:
            warn(f"the service did not end within {_DRAIN_LIMIT:g} seconds; it is killed")
            child.kill()
            return await child.wait()

    async def _generate(self) -> bool:
        """Generate the packages; problems are shown by the generator."""
        arguments = ("generate", str(self._project.schemas), "--out", str(self._project.out))
        process = await python(_GENERATE, arguments, asyncio.subprocess.DEVNULL, stdout=_STDERR)
        return await process.wait() == 0

    def _on_signal(self) -> None:
        sent = 0 if self._child is None else self._child.sent
        warn("stopping" if sent < MAX_TERMINATIONS else "stopping: the service is killed")
        self._stop.set()
        if self._child is not None:
            self._child.signal()


def _listed(files: Sequence[Path]) -> str:
    here = Path.cwd()
    names = [
        (each.relative_to(here) if each.is_relative_to(here) else each).as_posix()
        for each in files[:_SHOWN]
    ]
    rest = len(files) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
