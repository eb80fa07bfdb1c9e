"""The demo: generates the package of the sample contract, starts a nats-server, runs the story.

`weenats_codegen.demo.story` is typed code that imports the generated package, so it is imported
after the package exists. This works the same in a checkout and with an installed wheel.
"""

import asyncio
import importlib
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Final

from weenats.testing import NatsServer
from weenats_codegen.demo.recorder import Recorder
from weenats_codegen.generate import generate
from weenats_codegen.resources import LIBRARY, SAMPLE, sample_handlers
from weenats_codegen.scaffold import scaffold_sample

_STORY: Final = "weenats_codegen.demo.story"


def demo(recorder: Recorder) -> None:
    """Run the demo in a temporary folder, from the contract to statistics."""
    with tempfile.TemporaryDirectory(prefix="weenats-demo-") as name:
        folder = Path(name)
        _generate_sample(folder, recorder)
        recorder.chapter("an embedded nats-server")
        with NatsServer() as server, _importable(folder / "generated"):
            recorder.note(server.url)
            asyncio.run(importlib.import_module(_STORY).run(server.url, recorder))
    recorder.note("the service has finished its requests; server and folder have been removed")


def _generate_sample(folder: Path, recorder: Recorder) -> None:
    """Write the sample contract and generate its package, with the sample handlers."""
    recorder.chapter("weenats new --sample: a contract")
    written = scaffold_sample(folder)
    recorder.files([path.relative_to(folder).as_posix() for path in written])

    recorder.chapter("weenats generate: its Python package, and that of the schemas it shares")
    packages = folder / "generated"
    package = packages / SAMPLE
    package.mkdir(parents=True)
    # Existing handlers are never changed, so these are kept.
    (package / "handlers.py").write_text(sample_handlers(), encoding="utf-8")
    start = perf_counter()
    generate([folder / "schemas"], packages)
    elapsed = perf_counter() - start
    recorder.files(sorted(path.relative_to(folder).as_posix() for path in packages.glob("*/*")))
    recorder.note(f"you edit handlers.py and app.py; generating took {elapsed:.1f} s")


@contextmanager
def _importable(folder: Path) -> Generator[None]:
    """Import the packages of the demo from a folder, and remove every trace of it afterwards."""
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
    prefixes = (f"{SAMPLE}.", f"{LIBRARY}.")
    names = [name for name in sys.modules if f"{name}.".startswith(prefixes) or name == _STORY]
    return {name: sys.modules.pop(name) for name in names}
