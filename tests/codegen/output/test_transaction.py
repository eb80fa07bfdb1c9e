"""Transactions: runs at the same time, runs that are killed, and what the next run finds."""

from __future__ import annotations

import json
import os
import signal
from hashlib import sha256
from pathlib import Path

import pytest

from testkit import writes
from testkit.forks import forked
from weenats_codegen.output import lock, transaction
from weenats_codegen.output.lock import LOCK, locked, locked_for_reading
from weenats_codegen.output.writer import write
from weenats_codegen.reserved import MARK

OLD = {f"p/m{number}.py": f"old = {number}\n" for number in range(4)}
NEW = {f"p/m{number}.py": f"new = {number}\n" for number in range(4)} | {"q/new.py": "new = 1\n"}
DISCARD = Path(os.devnull)
STALE = {"p/stale.py": f"{MARK}x/service.yaml. Do not edit.\n"}


def content(folder: Path) -> dict[str, str]:
    """Return every file below a folder, including hidden files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def stopped_run(out: Path, step: int, ending: str) -> int:
    """Write the new files in a process that gets a signal at a step; return its exit status."""
    with forked(writes.write_until, out, NEW, step, ending, cwd=out, stdout=DISCARD) as process:
        process.join()
        assert process.exitcode is not None
        return process.exitcode


@pytest.mark.parametrize("step", range(9))
def test_killed_run_is_undone_by_the_next(tmp_path: Path, step: int) -> None:
    """After SIGKILL at any step, a run for other packages restores the old files."""
    write(tmp_path, OLD | STALE)
    assert stopped_run(tmp_path, step, "SIGKILL") == -signal.SIGKILL
    finished = step == 8  # only the lock was left
    write(tmp_path, {"other/a.py": "a\n"})
    assert content(tmp_path) == ((NEW if finished else OLD | STALE) | {"other/a.py": "a\n"})
    assert {path.name for path in tmp_path.iterdir()} == {"p", "other"} | (
        {"q"} & {*"q" * finished}
    )


@pytest.mark.parametrize(
    ("step", "ending"),
    [(0, "SIGTERM"), (3, "SIGTERM"), (8, "SIGTERM"), (3, "SIGINT"), (3, "SIGHUP")],
)
def test_signal_ends_run_after_its_files(tmp_path: Path, step: int, ending: str) -> None:
    """A signal in the middle ends the process after all files are written."""
    write(tmp_path, OLD | STALE)
    assert stopped_run(tmp_path, step, ending) != 0
    assert content(tmp_path) == NEW
    assert {path.name for path in tmp_path.iterdir()} == {"p", "q"}


def test_parallel_runs_are_not_mixed(tmp_path: Path) -> None:
    """Runs at the same time leave the files of one of them, and all succeed."""
    out = tmp_path / "deep" / "out"
    with (
        forked(writes.write_often, out, OLD, cwd=tmp_path, stdout=DISCARD) as one,
        forked(writes.write_often, out, NEW, cwd=tmp_path, stdout=DISCARD) as other,
    ):
        one.join()
        other.join()
        assert (one.exitcode, other.exitcode) == (0, 0)
    shared = {name: text for name, text in content(out).items() if name in OLD}
    assert shared in (OLD, {name: NEW[name] for name in OLD})
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_change_after_killed_run_is_kept(tmp_path: Path) -> None:
    """What the user has changed since a run was killed is not undone."""
    write(tmp_path, OLD)
    stopped_run(tmp_path, 3, "SIGKILL")
    (tmp_path / "p/m0.py").write_text("mine\n")
    write(tmp_path, {"other/a.py": "a\n"})
    assert content(tmp_path) == OLD | {"p/m0.py": "mine\n", "other/a.py": "a\n"}


def test_remains_are_removed_without_changes(tmp_path: Path) -> None:
    """A run that has nothing to write still removes what killed runs have left."""
    write(tmp_path, OLD)
    (tmp_path / ".weenats-a1b2c3").mkdir()
    (tmp_path / ".weenats-a1b2c3/0.new").touch()
    (tmp_path / LOCK).touch()
    assert write(tmp_path, OLD).written == ()
    assert content(tmp_path) == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize(
    "journal",
    [
        "",
        "{",
        "[1]",
        "[" * 100_000,
        json.dumps([["p/gone.py", "", ""]]),
        json.dumps([["p/gone.py", sha256(b"elsewhere").hexdigest(), ""]]),
        '[["p/m0.py", 1, 2]]',
        json.dumps([["../victim.py", sha256(b"x").hexdigest(), sha256(b"good\n").hexdigest()]]),
        json.dumps([["p/../../victim.py", "", sha256(b"good\n").hexdigest()]]),
        json.dumps([["/victim.py", "", sha256(b"good\n").hexdigest()]]),
    ],
)
def test_foreign_journal_changes_nothing(tmp_path: Path, journal: str) -> None:
    """A journal that is not ours, or names files elsewhere, changes no file."""
    out, victim = tmp_path / "out", tmp_path / "victim.py"
    victim.write_text("good\n")
    write(out, OLD)
    (out / ".weenats-stage").mkdir()
    (out / ".weenats-stage/journal.json").write_text(journal)
    (out / ".weenats-stage/0.old").write_text("x")
    write(out, OLD)
    assert victim.read_text() == "good\n"
    assert content(out) == OLD


def test_lock_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another run keeps for too long is an error that names the folder."""
    monkeypatch.setattr(lock, "_MAX_WAIT", 0.0)
    with locked(tmp_path):
        with pytest.raises(TimeoutError, match=r"another run of weenats.*test_lock_times_out"):
            write(tmp_path, OLD)
        with pytest.raises(TimeoutError), locked_for_reading(tmp_path):
            pass
    write(tmp_path, OLD)
    assert content(tmp_path) == OLD


def test_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where files cannot be locked, writing is an error with a remedy, and reading works."""
    import fcntl

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with pytest.raises(OSError, match=r"cannot lock files .*: use a local folder"):
        write(tmp_path / "out", OLD)
    with locked_for_reading(tmp_path):
        pass


def test_unwritable_folder_is_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only folder is an error, unless everything in it is up to date."""
    write(tmp_path, OLD)

    def read_only(path: Path, *_: object) -> int:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(os, "open", read_only)
    assert len(write(tmp_path, OLD).unchanged) == len(OLD)
    with pytest.raises(OSError, match=r"cannot write to the folder \(Read-only file system\)"):
        write(tmp_path, NEW)
    with locked_for_reading(tmp_path):
        assert not transaction.is_interrupted(tmp_path)


def test_folder_that_cannot_be_created_is_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that the file system says is missing, even when it is created, is an error."""

    def missing(path: Path, *_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr(lock, "_MAX_ABSENCES", 2)
    monkeypatch.setattr(Path, "mkdir", missing)
    with pytest.raises(OSError, match=r"cannot write to the folder \(No such file"):
        write(tmp_path / "out", OLD)


def test_file_at_folder_path_is_error(tmp_path: Path) -> None:
    """A file where the folder should be is an error."""
    (tmp_path / "out").write_text("mine\n")
    with pytest.raises(OSError, match="cannot write to the folder"):
        write(tmp_path / "out", OLD)


def test_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    """The error says that the folder, or one above it, is a link that leads nowhere."""
    (tmp_path / "out").symlink_to("nowhere")
    for folder in ("out", "out/inner"):
        with pytest.raises(OSError, match="it is a link that leads nowhere"):
            write(tmp_path / folder, OLD)


def test_errors_name_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be replaced is named, not that of the stage which would replace it."""

    def denied(path: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path), None, str(target))

    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    write(tmp_path, OLD)
    first = next(iter(OLD))
    replace = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (denied if path.suffix == ".new" else replace)(path, to)
    )
    with pytest.raises(PermissionError) as failed:
        write(tmp_path, {first: "new\n"})
    assert failed.value.filename == str(tmp_path / first)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as failed_again:
        write(tmp_path, {first: "new\n"})
    assert failed_again.value.filename == str(tmp_path)


def test_failed_run_leaves_no_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails removes the folders that it has created."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as failed:
        write(tmp_path / "deep" / "out", OLD)
    assert failed.value.filename == str(tmp_path / "deep" / "out"), "which disk is full"
    assert list(tmp_path.iterdir()) == []


def place(kind: str, path: Path, target: Path) -> None:
    """Create a file system object of a kind; links lead to the target."""
    if kind == "file":
        path.write_text("mine\n")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(target)


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_name_of_the_stage_in_use_is_error(tmp_path: Path, kind: str) -> None:
    """A file, FIFO or link where the stage belongs is named, neither followed nor removed."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    write(out, OLD)
    elsewhere.mkdir()
    journal = json.dumps([["p/m0.py", "", sha256(OLD["p/m0.py"].encode()).hexdigest()]])
    (elsewhere / "journal.json").write_text(journal)
    place(kind, out / ".weenats-stage", elsewhere)
    assert not transaction.is_interrupted(out)
    with pytest.raises(FileExistsError, match=r"needs: remove it.*\.weenats-stage"):
        write(out, NEW)
    assert (elsewhere / "journal.json").read_text() == journal
    assert os.path.lexists(out / ".weenats-stage")
    assert (out / "p/m0.py").read_text() == OLD["p/m0.py"]


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_files_with_hidden_names_are_kept(tmp_path: Path, kind: str) -> None:
    """What has the prefix of a stage and is not a folder is not what a run has left."""
    place(kind, tmp_path / ".weenats-mine", tmp_path)
    write(tmp_path, OLD)
    assert os.path.lexists(tmp_path / ".weenats-mine")


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_lock_that_is_no_file_is_named(tmp_path: Path, kind: str) -> None:
    """A link or folder with the name of the lock is an error that names it."""
    if kind == "folder":
        (tmp_path / LOCK).mkdir()
    else:
        (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=rf"{LOCK} in it is not a file: remove it"):
        write(tmp_path, OLD)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_foreign_journal_follows_no_links(tmp_path: Path, kind: str) -> None:
    """A journal restores nothing in a package that is a link, and reads only regular files."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / ".weenats-stage").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "victim.py").write_text("good\n")
    if kind == "link":
        (out / "q").symlink_to(elsewhere)
    else:
        (out / "q").mkdir()
        os.mkfifo(out / "q/victim.py")
    journal = json.dumps([["q/victim.py", "", sha256(b"good\n").hexdigest()]])
    (out / ".weenats-stage/journal.json").write_text(journal)
    write(out, OLD)
    assert (elsewhere / "victim.py").read_text() == "good\n"
    assert os.path.lexists(out / "q/victim.py")
