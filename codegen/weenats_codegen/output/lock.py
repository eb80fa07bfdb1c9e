"""One run at a time in a folder: other runs wait, and so do signals that end the process."""

import errno
import os
import signal
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

LOCK: Final = ".weenats-lock"
"""The file that is locked. It exists while a run has the lock, and after a run was killed."""
_MAX_WAIT: Final = 30.0
"""Seconds to wait for the lock; a run holds it for milliseconds."""
_MAX_ABSENCES: Final = 50
"""How often other runs may remove the folder meanwhile; some folders can never be created."""
_POLL: Final = 0.02
_ENDING: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Lock a folder against other runs, and create it if it is missing.

    Signals that end the process end it after the folder is unlocked. If the folder was created
    here and is still empty then, it is removed.

    Args:
        folder: The folder.

    Raises:
        TimeoutError: Another run has had the lock for too long.
        OSError: The folder cannot be written or locked.
    """
    created: list[Path] = []
    try:
        lock = _acquire(folder, created)
        with _signals_deferred():
            try:
                yield
            finally:
                with suppress(OSError):  # Windows keeps files that are open
                    (folder / LOCK).unlink()
                os.close(lock)
    finally:
        for each in reversed(created):
            with suppress(OSError):  # it is not empty
                each.rmdir()


@contextmanager
def locked_for_reading(folder: Path) -> Generator[None]:
    """Lock a folder if it exists and can be locked, so that nothing changes while it is read.

    Raises:
        TimeoutError: Another run has had the lock for too long.
    """
    with ExitStack() as stack:
        if folder.is_dir():
            try:
                stack.enter_context(locked(folder))
            except TimeoutError:
                raise
            except OSError:  # it is read-only: this process could not have changed it either
                pass
        yield


def _acquire(folder: Path, created: list[Path]) -> int:
    """Return the open and locked file; folders that had to be created are added to the list."""
    path = folder / LOCK
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    deadline = time.monotonic() + _MAX_WAIT
    absences = 0
    while True:
        with suppress(FileNotFoundError):  # another run has just removed the folder
            try:
                _create(folder, created)
                lock = os.open(path, flags, 0o666)
            except OSError as error:
                absences += error.errno == errno.ENOENT
                if error.errno == errno.ENOENT and absences <= _MAX_ABSENCES:
                    raise
                reason = error.strerror
                if any(
                    each.is_symlink() and not each.exists() for each in (folder, *folder.parents)
                ):
                    reason = "it is a link that leads nowhere"
                elif os.path.lexists(path) and (path.is_symlink() or not path.is_file()):
                    reason = f"{LOCK} in it is not a file: remove it"
                message = f"cannot write to the folder ({reason})"
                number = error.errno if absences <= _MAX_ABSENCES else errno.EIO  # no more tries
                raise OSError(number, message, os.fspath(folder)) from None
            try:
                # A run that ends removes its file, which others may have opened already.
                if _try_lock(lock, folder) and os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)
        if time.monotonic() > deadline:
            message = f"another run of weenats has been writing there for {_MAX_WAIT:g} s"
            raise TimeoutError(errno.ETIMEDOUT, message, os.fspath(folder))
        time.sleep(_POLL)


def _create(folder: Path, created: list[Path]) -> None:
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            created.append(each)
            each.mkdir(exist_ok=True)


def _try_lock(lock: int, folder: Path) -> bool:
    """Lock an open file, unless another process has locked it."""
    try:
        if sys.platform == "win32":  # pragma: no cover
            import msvcrt  # noqa: PLC0415 - exists on Windows only

            msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - does not exist on Windows

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN, errno.EDEADLK}:
            return False
        message = f"its file system cannot lock files ({error.strerror}): use a local folder"
        raise OSError(error.errno, message, os.fspath(folder)) from None
    return True


@contextmanager
def _signals_deferred() -> Generator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # pragma: no cover - Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
