"""Packages on disk, all or nothing: a run that fails leaves every file as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Self

from weenats_codegen.output.stubs import Gap, gap, is_stub, is_untouched
from weenats_codegen.render.package import HANDLERS, MARK

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did.

    Attributes:
        written: The files written.
        unchanged: The files that were as they are to be, and were not touched.
        removed: The files that are no longer generated.
        gaps: What handlers of users and their contracts do not have in common.
    """

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    removed: tuple[Path, ...]
    gaps: tuple[Gap, ...] = ()


def write(out: Path, files: Mapping[str, str]) -> Report:
    """Write files below a folder; remove those that their packages no longer hold.

    Args:
        out: The folder.
        files: Texts by relative path, `package/module.py`. A stub that its user has changed stays.

    Raises:
        OSError: Something cannot be written. Then everything is as it was.
    """
    changed, unchanged = _compare(out, files)
    removed = _stale(out, files)
    if changed or removed:
        with _Transaction(out) as transaction:
            for name, text in changed.items():
                transaction.put(out / name, text)
            for path in removed:
                transaction.remove(path)
    return Report(
        written=tuple(out / name for name in changed),
        unchanged=unchanged,
        removed=removed,
    )


def diff(out: Path, files: Mapping[str, str]) -> str:
    """Return what `write` would change, as a unified diff; "" when nothing.

    A stub that is gone is nobody's business.
    """
    changed, _ = _compare(out, files)
    pairs = [
        (out / name, text)
        for name, text in changed.items()
        if not is_stub(name) or (out / name).exists()
    ]
    pairs += [(path, "") for path in _stale(out, files)]
    lines: list[str] = []
    for path, text in sorted(pairs):
        old = path.read_bytes().decode(errors="replace") if path.exists() else ""
        shown = path.as_posix()
        lines += unified_diff(old.splitlines(), text.splitlines(), shown, shown, lineterm="")
        if old == text or not (old or text):
            lines.append(f"--- {shown} is missing")
    return "".join(f"{line}\n" for line in lines)


def gaps(out: Path, files: Mapping[str, str]) -> tuple[Gap, ...]:
    """Return what the handlers of users and their contracts do not have in common."""
    stubs = [(out / name, text) for name, text in sorted(files.items())]
    there = [
        (path, path.read_bytes(), stub)
        for path, stub in stubs
        if path.name == HANDLERS and path.is_file()
    ]
    found = [
        gap(path.as_posix(), content, stub)
        for path, content, stub in there
        if not is_untouched(content)
    ]
    return tuple(each for each in found if each is not None)


def _compare(out: Path, files: Mapping[str, str]) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Tell what is to be written from what is there already."""
    changed: dict[str, str] = {}
    unchanged: list[Path] = []
    for name, text in sorted(files.items()):
        path = out / name
        if not path.exists():
            changed[name] = text
        elif is_stub(name) and not is_untouched(path.read_bytes()):
            continue
        elif path.read_bytes() == text.encode():
            unchanged.append(path)
        else:
            changed[name] = text
    return changed, tuple(unchanged)


def _stale(out: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files with our mark that are no longer generated."""
    packages = {(out / name).parent for name in files}
    kept = {out / name for name in files}
    return tuple(
        path
        for package in sorted(packages)
        if package.is_dir()
        for path in sorted(package.glob("*.py"))
        if path not in kept and path.is_file() and path.read_bytes().startswith(MARK.encode())
    )


class _Transaction:
    """Puts and removes files; when a step fails, or one after it, each is what it was."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._made: list[Path] = []
        self._undo: list[tuple[Path, Path | None]] = []

    def __enter__(self) -> Self:
        self._make(self._out)
        self._stage = Path(tempfile.mkdtemp(prefix=".weenats-", dir=self._out))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._roll_back()
        shutil.rmtree(self._stage, ignore_errors=True)

    def put(self, path: Path, text: str) -> None:
        """Write a file in one step: whoever reads it sees the old or the new."""
        self._make(path.parent)
        new = self._stage / f"{len(self._undo)}.new"
        new.write_bytes(text.encode())
        self._keep(path)
        new.replace(path)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self._keep(path)
        path.unlink()

    def _keep(self, path: Path) -> None:
        """Keep what stands at a path, to put it back."""
        if not path.exists():
            self._undo.append((path, None))
            return
        old = self._stage / f"{len(self._undo)}.old"
        try:
            os.link(path, old)
        except OSError:  # a file system without hard links
            shutil.copy2(path, old)
        self._undo.append((path, old))

    def _make(self, folder: Path) -> None:
        for parent in reversed([folder, *folder.parents]):
            if not parent.exists():
                parent.mkdir()
                self._made.append(parent)

    def _roll_back(self) -> None:
        for path, old in reversed(self._undo):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                old.replace(path)
        shutil.rmtree(self._stage, ignore_errors=True)
        for folder in reversed(self._made):
            folder.rmdir()
