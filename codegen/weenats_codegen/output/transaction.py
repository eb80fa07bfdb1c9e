"""Changes of several files that happen all or not at all, even if the process is killed.

New files and copies of the old ones are put into a folder of their own first. A journal is written
there before the first file is replaced, and removed after the last one. A journal in a folder that
is not locked is that of a run that was killed: the next run restores the old files.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple, cast

from weenats_codegen.output.lock import LOCK

STAGE_PREFIX: Final = ".weenats-"
"""The first letters of the names of folders that are removed at the end of a run."""
_STAGE: Final = f"{STAGE_PREFIX}stage"
_JOURNAL: Final = "journal.json"
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_]+/){0,3}[A-Za-z0-9_][A-Za-z0-9_.-]*")


class _Step(NamedTuple):
    """One file of a transaction: its path in the folder, and the digests of its content.

    A digest is "" if there is no file.
    """

    name: str
    old: str
    new: str


def apply(folder: Path, written: Mapping[str, str], removed: Collection[str]) -> None:
    """Write and remove files.

    Args:
        folder: A folder that is locked, and in which no run was interrupted.
        written: The new texts by relative path, `package/module.py` or `file`.
        removed: The relative paths of the files to remove.

    Raises:
        OSError: A file cannot be written. Everything is as it was before.
    """
    stage = folder / _STAGE
    if os.path.lexists(stage):  # a folder of an earlier run was removed by `recover`
        message = "has a name that `weenats generate` needs: remove it"
        raise FileExistsError(errno.EEXIST, message, os.fspath(stage))
    try:
        stage.mkdir()
        steps = _prepare(folder, written, removed)
        draft = stage / "draft"
        draft.write_text(json.dumps(steps), encoding="utf-8")
        draft.replace(stage / _JOURNAL)
        for number, step in enumerate(steps):
            path = folder / step.name
            if step.new:
                path.parent.mkdir(parents=True, exist_ok=True)
                _new(stage, number).replace(path)
            else:
                path.unlink()
            _remove_bytecode(path)
        (stage / _JOURNAL).unlink()
    except OSError as error:
        # Users know the files that are replaced, not those of the stage. A full disk has no name.
        name = error.filename2 or error.filename or folder
        place = folder if Path(name).is_relative_to(stage) else name
        raise OSError(error.errno, error.strerror, os.fspath(place)) from None
    finally:
        recover(folder)


def is_interrupted(folder: Path) -> bool:
    """Return whether a run was killed in the folder before all its files were replaced."""
    stage = folder / _STAGE
    return not stage.is_symlink() and (stage / _JOURNAL).is_file()


def has_remains(folder: Path) -> bool:
    """Return whether a run is writing to the folder, or was killed and has left its own files."""
    return any(_remains(folder))


def recover(folder: Path) -> None:
    """Restore the files of a run that was interrupted, and remove what it has left.

    Files that were changed since are kept, and those in packages that have become links.

    Args:
        folder: A folder that is locked.

    Raises:
        OSError: A file cannot be restored.
    """
    if is_interrupted(folder):
        _restore(folder)
        (folder / _STAGE / _JOURNAL).unlink()
    for each in _remains(folder):
        if each.name != LOCK:
            shutil.rmtree(each, ignore_errors=True)


def _restore(folder: Path) -> None:
    stage = folder / _STAGE
    steps = _journal(stage)
    for number, step in enumerate(steps):
        path = folder / step.name
        is_elsewhere = path.parent != folder and path.parent.is_symlink()
        if is_elsewhere or _digest(path) != step.new:
            continue
        if not step.old:
            path.unlink(missing_ok=True)
        elif _digest(_old(stage, number)) == step.old:
            _old(stage, number).replace(path)
        _remove_bytecode(path)
    for parent in {(folder / step.name).parent for step in steps} - {folder}:
        with suppress(OSError):  # it is not empty
            parent.rmdir()


def _prepare(folder: Path, written: Mapping[str, str], removed: Collection[str]) -> list[_Step]:
    """Put the new files and copies of the old ones into the stage."""
    stage = folder / _STAGE
    steps: list[_Step] = []
    for name in (*written, *removed):
        path, number = folder / name, len(steps)
        old = _digest(path)
        if old:
            _copy(path, _old(stage, number))
        new = ""
        if name in written:
            _new(stage, number).write_bytes(written[name].encode())
            new = _digest(_new(stage, number))
        steps.append(_Step(name, old, new))
    return steps


def _remove_bytecode(path: Path) -> None:
    """Remove what Python has compiled of a module.

    Python reads a module anew only if its size or the second of its last change is another, and two
    runs within a second may differ in a digest alone.
    """
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
        with suppress(OSError):
            compiled.unlink()


def _copy(path: Path, copy: Path) -> None:
    try:
        os.link(path, copy)
    except OSError:  # a file system without hard links
        shutil.copy2(path, copy)


def _journal(stage: Path) -> list[_Step]:
    """Return the steps of a run that was interrupted, none if there was no such run.

    The journal is not trusted, since a clone may contain one: it must not name files elsewhere.
    """
    try:
        rows: object = json.loads((stage / _JOURNAL).read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    steps: list[_Step] = []
    for row in cast("list[object]", rows) if isinstance(rows, list) else ():
        match row:
            case [str(name), str(old), str(new)] if _NAME.fullmatch(name):
                steps.append(_Step(name, old, new))
            case _:
                return []
    return steps


def _digest(path: Path) -> str:
    """Return the digest of a file, "" if there is none."""
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _remains(folder: Path) -> Iterator[Path]:
    """Return the lock and the stages of runs; earlier versions gave these random names.

    Files and links with such names are those of others.
    """
    for each in folder.glob(f"{STAGE_PREFIX}*"):
        if each.name == LOCK or (each.is_dir() and not each.is_symlink()):
            yield each


def _old(stage: Path, number: int) -> Path:
    return stage / f"{number}.old"


def _new(stage: Path, number: int) -> Path:
    return stage / f"{number}.new"
