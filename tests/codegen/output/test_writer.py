"""Writing generated files: atomic, only changed files, and no files of the user."""

from __future__ import annotations

import os
import py_compile
from pathlib import Path

import pytest

from weenats_codegen.output.lock import LOCK
from weenats_codegen.output.writer import Report, diff, write
from weenats_codegen.reserved import MARK

FILES = {"p/a.py": "a = 1\n", "p/b.py": "b = 1\n", "p/handlers.py": "stub\n", "p/py.typed": ""}
OURS = f"{MARK}x/service.yaml. Do not edit.\n"


def content(folder: Path) -> dict[str, str]:
    """Return every file below a folder, including hidden files."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_write_creates_files(tmp_path: Path) -> None:
    """Exactly the given files are written, and the report lists them."""
    report = write(tmp_path / "deep" / "out", FILES)
    assert content(tmp_path / "deep" / "out") == FILES
    assert report == Report(tuple(tmp_path / "deep" / "out" / name for name in FILES), (), ())


def test_unchanged_files_are_not_touched(tmp_path: Path) -> None:
    """A second run does not change the modification time of unchanged files."""
    write(tmp_path, FILES)
    for name in FILES:
        os.utime(tmp_path / name, ns=(1, 1))
    report = write(tmp_path, {**FILES, "p/b.py": "b = 2\n"})
    assert report.written == (tmp_path / "p/b.py",)
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in FILES}
    assert {name for name, time in times.items() if time != 1} == {"p/b.py"}


@pytest.mark.parametrize("last", ["new = 1\n", None], ids=["replaced", "removed"])
def test_bytecode_of_changed_modules_is_removed(tmp_path: Path, last: str | None) -> None:
    """Python compiles a module anew that was replaced within a second by one of the same size."""
    kept = {"p/kept.py": f"{MARK}x. Do not edit.\n"}
    module = {"p/module.py": f"{MARK}x. Do not edit.\nold = 1\n"}
    write(tmp_path, kept | module)
    for name in kept | module:
        py_compile.compile(os.fspath(tmp_path / name), doraise=True)
    write(tmp_path, kept | ({} if last is None else {"p/module.py": last}))
    assert [path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")] == ["kept"]


def test_user_stub_is_never_overwritten(tmp_path: Path) -> None:
    """An existing handlers.py is never overwritten."""
    write(tmp_path, FILES)
    (tmp_path / "p/handlers.py").write_text("mine\n")
    report = write(tmp_path, {**FILES, "p/handlers.py": "another stub\n"})
    assert (tmp_path / "p/handlers.py").read_text() == "mine\n"
    assert report.written == ()


def test_stale_generated_files_are_removed(tmp_path: Path) -> None:
    """A file with the generated header that is no longer generated is removed."""
    write(tmp_path, {**FILES, "p/old.py": OURS})
    report = write(tmp_path, FILES)
    assert report.removed == (tmp_path / "p/old.py",)
    assert content(tmp_path) == FILES


@pytest.mark.parametrize(
    "name", ["p/mine.py", "p/notes.txt", "p/deeper/old.py", "other/old.py", "old.py"]
)
def test_other_files_are_kept(tmp_path: Path, name: str) -> None:
    """Files without the generated header, or outside the package, are kept."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x = 1\n" if name == "p/mine.py" else OURS)
    write(tmp_path, FILES)
    assert path.exists()


def test_header_counts_on_first_line_only(tmp_path: Path) -> None:
    """A file that has the generated header below its first line is kept."""
    (tmp_path / "p").mkdir()
    (tmp_path / "p/mine.py").write_text(f"# mine\n{OURS}")
    write(tmp_path, FILES)
    assert (tmp_path / "p/mine.py").exists()


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("links", [True, False])
def test_failed_write_is_rolled_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, *, links: bool
) -> None:
    """A failure at any step restores the old files, with and without hard links."""
    old = {"p/a.py": "old\n", "p/z.py": OURS, "p/handlers.py": "mine\n"}
    write(tmp_path, old)
    left = step
    replace, unlink = Path.replace, Path.unlink

    def count() -> None:
        nonlocal left
        left -= 1
        if left == -1:
            raise OSError(28, "No space left on device")

    def failing_replace(self: Path, target: Path) -> Path:
        count()
        return replace(self, target)

    def failing_unlink(self: Path, *, missing_ok: bool = False) -> None:
        count()
        unlink(self, missing_ok=missing_ok)

    def no_link(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    monkeypatch.setattr(Path, "replace", failing_replace)
    monkeypatch.setattr(Path, "unlink", failing_unlink)
    new = {**FILES, "q/a.py": "q\n"}
    try:
        write(tmp_path, new)
    except OSError:
        assert content(tmp_path) == old
        assert {path.name for path in tmp_path.iterdir()} == {"p"}
    else:  # only the lock could not be removed
        (tmp_path / LOCK).unlink()
        assert step == 7, "every step before must have failed"
        assert content(tmp_path) == {**new, "p/handlers.py": "mine\n"}


def test_interrupted_write_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C during a write restores the old files."""
    write(tmp_path, {"p/a.py": "old\n"})
    write_bytes = Path.write_bytes

    def interrupted(self: Path, data: bytes) -> int:
        if data == b"b = 1\n":
            raise KeyboardInterrupt
        return write_bytes(self, data)

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, FILES)
    assert content(tmp_path) == {"p/a.py": "old\n"}


def test_folder_at_file_path_is_error(tmp_path: Path) -> None:
    """A folder at the path of a generated file is an error, and nothing is written."""
    (tmp_path / "p" / "b.py").mkdir(parents=True)
    with pytest.raises(OSError, match=r"b\.py"):
        write(tmp_path, FILES)
    assert content(tmp_path) == {}


@pytest.mark.parametrize("name", ["p/b.py", "p/handlers.py"])
def test_special_file_is_error(tmp_path: Path, name: str) -> None:
    """A FIFO at the path of a generated file is an error; reading it would never end."""
    (tmp_path / "p").mkdir()
    os.mkfifo(tmp_path / name)
    for function in (write, diff):
        with pytest.raises(OSError, match=f"not a regular file.*{name}"):
            function(tmp_path, FILES)


def test_file_of_the_user_is_not_replaced(tmp_path: Path) -> None:
    """A module of the user that has the name of a generated one is an error, unless empty."""
    generated = {"p/__init__.py": OURS, "p/models.py": OURS}
    mine = {"p/__init__.py": "", "p/models.py": "# mine\n"}
    (tmp_path / "p").mkdir()
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(FileExistsError, match=r"not generated by weenats.*models\.py"):
        write(tmp_path, generated)
    assert content(tmp_path) == mine
    (tmp_path / "p/models.py").unlink()
    write(tmp_path, generated)
    assert content(tmp_path) == generated


def test_diff_shows_pending_changes(tmp_path: Path) -> None:
    """The diff shows changed, new and stale files; nothing is written."""
    write(tmp_path, {"p/a.py": "a = 0\n", "p/old.py": OURS})
    before = content(tmp_path)
    text = diff(tmp_path, FILES)
    assert "-a = 0\n+a = 1\n" in text
    assert "+b = 1\n" in text
    assert f"-{OURS}" in text
    assert "py.typed is missing" in text
    assert "stub" not in text
    assert content(tmp_path) == before


def test_diff_is_empty_when_up_to_date(tmp_path: Path) -> None:
    """The diff is empty after a write, even if the handlers stub was deleted."""
    write(tmp_path, FILES)
    (tmp_path / "p/handlers.py").unlink()
    assert diff(tmp_path, FILES) == ""


def test_files_are_utf8_with_given_line_endings(tmp_path: Path) -> None:
    """Files are written as UTF-8 with the given line endings, on every platform."""
    write(tmp_path, {"p/a.py": "# é\n"})
    assert (tmp_path / "p/a.py").read_bytes() == "# é\n".encode()


def test_diff_accepts_file_that_is_not_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not valid UTF-8 is stale, not an error."""
    write(tmp_path, {"p/a.py": "a\n"})
    (tmp_path / "p/a.py").write_bytes(b"\xff\n")
    assert "+a\n" in diff(tmp_path, {"p/a.py": "a\n"})


@pytest.mark.parametrize("name", ["p", "p/a.py"])
def test_links_are_not_written_through(tmp_path: Path, name: str) -> None:
    """A package or file that is a link is an error, and what it leads to stays as it is."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write(out, FILES)
    (out / name).rename(elsewhere)
    (out / name).symlink_to(elsewhere)
    stale = elsewhere / "stale.py" if elsewhere.is_dir() else elsewhere
    stale.write_text(OURS)
    before = content(tmp_path)
    with pytest.raises(OSError, match=f"is a link: put the f.* itself there.*out/{name}'"):
        write(out, FILES)
    assert content(tmp_path) == before
    assert (out / name).readlink() == elsewhere


@pytest.mark.parametrize("target", ["nowhere", "p"])
def test_link_that_leads_nowhere_is_error(tmp_path: Path, target: str) -> None:
    """A package that is a dangling link, or a link to itself, is reported as a link."""
    (tmp_path / "p").symlink_to(tmp_path / target)
    for function in (write, diff):
        with pytest.raises(NotADirectoryError, match="is a link"):
            function(tmp_path, FILES)


def test_link_to_a_generated_file_is_kept(tmp_path: Path) -> None:
    """A link to a file with the header is not one that is no longer generated."""
    (tmp_path / "p").mkdir()
    (tmp_path / "other.py").write_text(OURS)
    (tmp_path / "p/mine.py").symlink_to(tmp_path / "other.py")
    assert write(tmp_path, FILES).removed == ()
    assert (tmp_path / "p/mine.py").is_symlink()


def test_file_at_package_path_is_error(tmp_path: Path) -> None:
    """A file where the folder of a package should be is an error that says so."""
    (tmp_path / "p").write_text("mine\n")
    for function in (write, diff):
        with pytest.raises(NotADirectoryError, match=r"is not a folder.*move it"):
            function(tmp_path, FILES)
