"""An HTTP server on loopback for tests that fetch documents."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DOCUMENT = b'{"keys": []}'
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class HttpServer:
    """An HTTP server on loopback whose `behaviour` a test sets."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.behaviour: Behaviour = answer()
        self.paths: list[str] = []
        self.ended = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                try:
                    outer.behaviour(self)
                except OSError:
                    outer.ended.set()

            def do_CONNECT(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                outer.ended.set()

        self.http = Quiet(("127.0.0.1", 0), Handler)
        scheme = "http"
        if context is not None:
            scheme = "https"
            self.http.socket = context.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        self.uri = f"{scheme}://127.0.0.1:{self.http.server_address[1]}/keys"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop the server."""
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def answer(
    body: bytes = DOCUMENT, status: int = 200, headers: dict[str, str] | None = None
) -> Behaviour:
    """Return the behaviour that answers with this response."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave
