"""The demo: compiles the sample contract into a folder, starts a nats-server, tells the story.

The story itself is `demo_story`: typed code that imports the package generated here, so it is
imported once that is there. It works the same from a checkout and from an installed wheel.
"""

import asyncio
import importlib
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Protocol

from weenats.errors import ServiceError
from weenats.model import Model
from weenats.protocol.messages import EndpointStats
from weenats.testing import NatsServer
from weenats_codegen.generate import generate
from weenats_codegen.resources import sample_handlers
from weenats_codegen.scaffold import scaffold

SERVICE = "receipts"
STORY = "weenats_codegen.demo.story"


class Teller(Protocol):
    """Shows what happens, as it happens."""

    def chapter(self, title: str) -> None:
        """What comes next."""
        ...

    def note(self, text: str) -> None:
        """A fact."""
        ...

    def files(self, names: Sequence[str]) -> None:
        """What was written."""
        ...

    def reply(self, call: str, result: Model, milliseconds: float) -> None:
        """A call and what it answered."""
        ...

    def caught(self, call: str, error: ServiceError, milliseconds: float) -> None:
        """A call and the error that was caught by its class."""
        ...

    def event(self, name: str, key: str, revision: int, data: Model) -> None:
        """An event that arrived."""
        ...

    def statistics(self, endpoints: Sequence[EndpointStats]) -> None:
        """What the service has counted."""
        ...


def demo(teller: Teller) -> None:
    """Show the whole path, from the contract to statistics, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="weenats-demo-") as name:
        folder = Path(name)
        compile_sample(folder, teller)
        teller.chapter("an embedded nats-server")
        with NatsServer() as server, importable(folder / "generated"):
            teller.note(server.url)
            asyncio.run(importlib.import_module(STORY).tell(server.url, teller))
    teller.note("the service finished what it had admitted; server and folder are gone")


def compile_sample(folder: Path, teller: Teller) -> None:
    """Write the sample contract and generate its package, with the sample handlers."""
    teller.chapter("weenats new receipts: a contract")
    written = scaffold(SERVICE, folder)
    teller.files([path.relative_to(folder).as_posix() for path in written])

    teller.chapter("weenats generate: its Python package")
    package = folder / "generated" / SERVICE
    package.mkdir(parents=True)
    # Handlers are yours: what is there is never touched, so these stay as they are.
    (package / "handlers.py").write_text(sample_handlers(), encoding="utf-8")
    start = perf_counter()
    generate([folder / "schemas"], folder / "generated")
    spent = perf_counter() - start
    files = sorted(path.relative_to(folder).as_posix() for path in package.iterdir())
    teller.files(files)
    teller.note(f"handlers.py is yours, app.py too once you change it; it took {spent:.1f} s")


@contextmanager
def importable(folder: Path) -> Generator[None]:
    """Import the demo's package from there; forget it afterwards, as if it had never been."""
    before = _forget()
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _forget()
        sys.modules.update(before)


def _forget() -> dict[str, ModuleType]:
    names = [n for n in sys.modules if n in {SERVICE, STORY} or n.startswith(f"{SERVICE}.")]
    return {name: sys.modules.pop(name) for name in names}
