"""`weenats run --reload`: serves in a child process, which is replaced when files change."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any, Final

from weenats.service.signals import StopSignals
from weenats.testing import NatsServer
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
_SIGNALS: Final = 2
_CHILD: Final = "import sys; from weenats_codegen.cli.reload import child; child(sys.argv[1:])"
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
        if not out.resolve().is_relative_to(here):
            folders.append(out.resolve())
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
    # .pyc files know the time of their module in full seconds only.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if not embedded:
        if servers:
            environment["NATS_URL"] = ",".join(servers)  # all users can see arguments
        return asyncio.run(_Reloader(arguments, environment, project).run())
    with NatsServer() as server:
        environment["NATS_URL"] = server.url
        return asyncio.run(_Reloader(arguments, environment, project).run())


def child(arguments: Sequence[str]) -> None:
    """Run the command `run` in this process, which ends when its parent has ended.

    Args:
        arguments: The arguments of `run`.
    """
    from weenats_codegen.cli.main import main

    threading.Thread(target=_stop_with_parent, daemon=True).start()
    sys.exit(main(["run", *arguments]))


def _stop_with_parent() -> None:
    os.read(0, 1)  # the parent never writes: this is its end
    os.kill(os.getpid(), signal.SIGTERM)


class _Reloader:
    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], project: Project
    ) -> None:
        self._arguments = arguments
        self._environment = environment
        self._project = project
        self._stop = asyncio.Event()
        self._child: asyncio.subprocess.Process | None = None
        self._sent = 0  # signals to the child

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
        while not await self._stopped_within(pause):
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

    async def _stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    async def _start(self) -> None:
        self._child, self._sent = None, 0
        self._child = await _python(
            _CHILD, self._arguments, asyncio.subprocess.PIPE, environment=self._environment
        )

    async def _end(self) -> int:
        """Stop the service after its requests are finished; kill it if it does not end."""
        process = self._child
        if process is None:
            return 0
        if not self._sent:
            self._send()
        try:
            return await asyncio.wait_for(process.wait(), _DRAIN_LIMIT)
        except TimeoutError:
            warn(f"the service did not end within {_DRAIN_LIMIT:g} seconds; it is killed")
            with suppress(ProcessLookupError):
                process.kill()
            return await process.wait()

    async def _generate(self) -> bool:
        """Generate the packages; problems are shown by the generator."""
        arguments = ("generate", str(self._project.schemas), "--out", str(self._project.out))
        process = await _python(_GENERATE, arguments, asyncio.subprocess.DEVNULL, stdout=_STDERR)
        return await process.wait() == 0

    def _on_signal(self) -> None:
        warn("stopping" if self._sent < _SIGNALS else "stopping: the service is killed")
        self._stop.set()
        self._send()

    def _send(self) -> None:
        """Let the service stop; at the second time abort what it does, at the third kill it."""
        if self._child is not None and self._child.returncode is None:
            self._sent += 1
            with suppress(ProcessLookupError):
                if self._sent > _SIGNALS:
                    self._child.kill()
                else:
                    self._child.terminate()


async def _python(
    program: str,
    arguments: Sequence[str],
    stdin: int,
    stdout: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """Start Python in a process group of its own: Ctrl-C reaches it once, from here."""
    group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        stdin=stdin,
        stdout=stdout,
        env=environment,
        **group,
    )


def _listed(files: Sequence[Path]) -> str:
    here = Path.cwd()
    names = [
        (each.relative_to(here) if each.is_relative_to(here) else each).as_posix()
        for each in files[:_SHOWN]
    ]
    rest = len(files) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest else "")
