"""What a process leaves when it is killed: its nats-server ends, and the files are removed."""

import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["OrphanWatch"]
# The folder is an argument of the server: another process that got its id since is left alone.
_SCRIPT: Final = """
read -r pid
read -r end
case $(tr '\\0' ' ' < "/proc/$pid/cmdline" || ps -o args= -p "$pid") in
*"$1"*) kill -9 "$pid" && sleep 1 ;;
esac
rm -rf -- "$1"
"""


class OrphanWatch:
    """Ends a server when this process has ended without ending it, however that came.

    A shell waits for the end of this process, which closes a pipe. Processes that were forked have
    the pipe too: it waits for those as well. It does nothing on Windows.

    Args:
        folder: the folder of the server, which is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        if sys.platform != "win32":
            # In its own session: Ctrl-C must not end it.
            self._shell = subprocess.Popen(  # noqa: S603 - our own script
                ["/bin/sh", "-c", _SCRIPT, "sh", str(folder)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def watch(self, process_id: int) -> None:
        """Begin.

        Args:
            process_id: the id of the server.
        """
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.write(b"%d\n" % process_id)

    def end(self) -> None:
        """Leave the server and its folder alone."""
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.kill()
            shell.communicate()
