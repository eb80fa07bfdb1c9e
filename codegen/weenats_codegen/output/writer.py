"""Packages on disk, all or nothing: a run that fails leaves every file as it was."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from typing import TYPE_CHECKING

from weenats_codegen.output import transaction
from weenats_codegen.output.lock import locked
from weenats_codegen.output.stubs import is_stub, is_untouched
from weenats_codegen.reserved import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
    if not transaction.has_remains(out):
        report, _ = _pending(out, files)
        if not report.written and not report.removed:
            return report
    with locked(out):
        transaction.recover(out)
        report, changed = _pending(out, files)
        removed = [path.relative_to(out).as_posix() for path in report.removed]
        if changed or removed:
            transaction.apply(out, changed, removed)
    return report


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


def _pending(out: Path, files: Mapping[str, str]) -> tuple[Report, dict[str, str]]:
    """Return what a run would do, and the texts that it would write."""
    changed, unchanged = _compare(out, files)
    removed = _stale(out, files)
    return Report(tuple(out / name for name in changed), unchanged, removed), changed


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
