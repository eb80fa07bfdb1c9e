"""Where an exception was raised, as one line can show it."""

import sysconfig
import traceback
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_INSTALLED: Final = ("stdlib", "platstdlib", "purelib", "platlib")
_PACKAGES: Final = ("weenats", "weenats_codegen")


def location(error: BaseException) -> str:
    """Return file and line of the innermost call, "an unknown place" if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    return _shown(frames[-1]) if frames else "an unknown place"


def user_location(error: BaseException) -> str:
    """Return where the innermost call in the code of the user is, "" if none is."""
    libraries = _libraries()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        parents = Path(frame.filename).resolve().parents
        if not frame.filename.startswith("<") and libraries.isdisjoint(parents):
            return f"{_shown(frame)} in {frame.name}"
    return ""


def _libraries() -> set[Path]:
    """Return the folders of Python, of what is installed, and of weenats."""
    paths = sysconfig.get_paths()
    found = {Path(paths[each]).resolve() for each in _INSTALLED}
    for package in _PACKAGES:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            found.add(Path(spec.origin).resolve().parent)
    return found


def _shown(frame: traceback.FrameSummary) -> str:
    shown = Path(frame.filename)
    with suppress(ValueError, FileNotFoundError):  # it is elsewhere, or there is no such folder now
        shown = shown.relative_to(Path.cwd())
    return f"{shown.as_posix()}:{frame.lineno}"
