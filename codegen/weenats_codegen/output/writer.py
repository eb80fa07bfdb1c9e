"""Packages on disk, all or nothing: a run that fails leaves every file as it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Self

from weenats_codegen.output.stubs import is_stub, is_untouched
from weenats_codegen.render.package import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weenats_codegen.output.stubs import HandlerMismatch


@dataclass(frozen=True, slots=True)
class Report:
    """The files of a run.

    Attributes:
        written: The files that were written.
        unchanged: The files that were up to date, and were not touched.
        removed: The files that are no longer generated.
        mismatches: The differences between the handlers of users and their contracts.
    """

    written: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    removed: tuple[Path, ...]
    mismatches: tuple[HandlerMismatch, ...] = ()


def write(out: Path, files: Mapping[str, str]) -> Report:
    """Write files below a folder; remove those that their packages no longer have.

    Args:
        out: The folder.
        files: Texts by relative path, `package/module.py`. A stub that the user changed is kept.

    Returns:
        What was written, kept and removed.

    Raises:
        OSError: A file cannot be written. Everything is as it was before.
    """
    changed, unchanged = _compare(out, files)
    removed = _stale(out, files)
    if changed or removed:
        with _Transaction(out) as transaction:
            for name, text in changed.items():
                transaction.put(out / name, text)
            for path in removed:
                transaction.remove(path)
    return Report(tuple(out / name for name in changed), unchanged, removed)


def diff(out: Path, files: Mapping[str, str]) -> str:
    """Return what `write` would change, as a unified diff; "" if nothing.

    A missing stub is not part of it: the user may have removed it.
    """
    changed, _ = _compare(out, files)
    texts = {
        out / name: text
        for name, text in changed.items()
        if not is_stub(name) or (out / name).exists()
    }
    texts |= dict.fromkeys(_stale(out, files), "")
    lines: list[str] = []
    for path, text in sorted(texts.items()):
        old = path.read_bytes().decode(errors="replace") if path.exists() else ""
        name = path.as_posix()
        lines += unified_diff(old.splitlines(), text.splitlines(), name, name, lineterm="")
        if old == text:
            lines.append(f"--- {name} is missing")
    return "".join(f"{line}\n" for line in lines)


def _compare(out: Path, files: Mapping[str, str]) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Return the files to write, and those that are up to date."""
    changed: dict[str, str] = {}
    unchanged: list[Path] = []
    for name, text in sorted(files.items()):
        path = out / name
        content = path.read_bytes() if path.exists() else None
        if content == text.encode():
            unchanged.append(path)
        elif content is None or not is_stub(name) or is_untouched(content):
            changed[name] = text
    return changed, tuple(unchanged)


def _stale(out: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the files with the header that their packages no longer have."""
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
    """Writes and removes files; if a step fails, or one after it, each is restored."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._created: list[Path] = []
        self._undo: list[tuple[Path, Path | None]] = []

    def __enter__(self) -> Self:
        self._create(self._out)
        self._stage = Path(tempfile.mkdtemp(prefix=".weenats-", dir=self._out))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._roll_back()
        shutil.rmtree(self._stage, ignore_errors=True)

    def put(self, path: Path, text: str) -> None:
        """Write a file in one step: readers see the old content or the new one."""
        self._create(path.parent)
        new = self._stage / f"{len(self._undo)}.new"
        new.write_bytes(text.encode())
        self._back_up(path)
        new.replace(path)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self._back_up(path)
        path.unlink()

    def _back_up(self, path: Path) -> None:
        old = None
        if path.exists():
            old = self._stage / f"{len(self._undo)}.old"
            try:
                os.link(path, old)
            except OSError:  # a file system without hard links
                shutil.copy2(path, old)
        self._undo.append((path, old))

    def _create(self, folder: Path) -> None:
        for parent in reversed([folder, *folder.parents]):
            if not parent.exists():
                parent.mkdir()
                self._created.append(parent)

    def _roll_back(self) -> None:
        for path, old in reversed(self._undo):
            if old is None:
                path.unlink(missing_ok=True)
            else:
                old.replace(path)
        shutil.rmtree(self._stage, ignore_errors=True)
        for folder in reversed(self._created):
            folder.rmdir()
