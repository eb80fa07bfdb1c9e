"""The page over HTTP on this machine; browsers load it again when a contract changes."""

from __future__ import annotations

import sys
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from markupsafe import escape
from typing_extensions import override

from weenats_codegen.docs.page import page
from weenats_codegen.generate import read_contracts
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.parser.syntax import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_IDLE_SECONDS: Final = 10.0
"""How long a connection may be silent, each of which has a thread."""
_STATE: Final = "/state"
_LOCAL: Final = "127.0.0.1"
_LOCAL_NAMES: Final = frozenset({_LOCAL, "localhost", "::1"})
_PROBLEMS: Final = """\
<!doctype html><html lang="en" data-reload="{state}"><meta charset="utf-8"><title>Problems</title>
<h1>The contracts have problems</h1><pre>{text}</pre>
<script>let state = null;
setInterval(() => fetch("{state}").then((answer) => answer.text()).then((text) => {{
  if (state !== null && state !== text) location.reload();
  state = text;
}}).catch(() => null), 1000);</script></html>
"""


class PageServer(ThreadingHTTPServer):
    """Serves the page of some contracts as they are at each request."""

    daemon_threads = True

    def __init__(self, schemas: Sequence[Path], port: int) -> None:
        """Bind to a port of the loopback interface.

        Args:
            schemas: Contract folders, or folders that contain some.
            port: The port; 0 is any that is free.
        """
        super().__init__((_LOCAL, port), _Handler)
        self._schemas: Final = schemas

    @property
    def url(self) -> str:
        """The URL of the page."""
        return f"http://{_LOCAL}:{self.server_address[1]}/"

    def state(self) -> str:
        """Return a text that is another one after any file of a contract has changed."""
        digest = sha256()
        for folder in self._schemas:
            with suppress(OSError):  # something has just been removed
                for path in sorted(folder.rglob("*")):
                    if path.name.endswith(SUFFIXES) and path.is_file():
                        found = path.stat()
                        digest.update(f"{path} {found.st_mtime_ns} {found.st_size}\n".encode())
        return digest.hexdigest()

    def page(self) -> str:
        """Return the page, or what is wrong with the contracts."""
        try:
            return page(read_contracts(self._schemas), reload=_STATE)
        except (ContractError, OSError) as error:
            return _PROBLEMS.format(state=_STATE, text=escape(str(error)))

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, unless a browser went away while it was answered."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = _IDLE_SECONDS
    server: PageServer  # pyright: ignore[reportIncompatibleVariableOverride] - it serves no other

    def do_GET(self) -> None:
        if not self._is_addressed_here():
            self.send_error(403, f"this page is at {self.server.url}")
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", self.server.page())
        elif self.path == _STATE:
            self._answer("text/plain; charset=utf-8", self.server.state())
        else:
            self.send_error(404)

    def _is_addressed_here(self) -> bool:
        """Return whether the browser was sent to this machine by name.

        The page of an attacker, whose name leads here for a moment (DNS rebinding), could read the
        contracts otherwise. The port may be that of a tunnel.
        """
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            return False
        return name in _LOCAL_NAMES

    def _answer(self, kind: str, text: str) -> None:
        content = text.encode(errors="replace")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: browsers ask every second."""
