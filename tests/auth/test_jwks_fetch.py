"""Fetching from an HTTP server that does all it can to be in the way."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from weenats.auth.jwks_fetch import MAX_BYTES, FetchError, fetch

DOCUMENT = b'{"keys": []}'
Behaviour = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """An HTTP server on loopback that does as the test tells it."""

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
        """End it."""
        self.ended.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def answer(
    body: bytes = DOCUMENT, status: int = 200, headers: dict[str, str] | None = None
) -> Behaviour:
    """Return a server's behaviour: one answer."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


@pytest.fixture
def server() -> Iterator[Server]:
    """A server without TLS."""
    server = Server()
    yield server
    server.stop()


def test_a_document_is_returned(server: Server) -> None:
    """What a plain server answers arrives whole, up to the limit."""
    assert fetch(server.uri) == DOCUMENT
    server.behaviour = answer(b"x" * MAX_BYTES)
    assert len(fetch(server.uri)) == MAX_BYTES


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307, 308, 401, 404, 429, 500, 503])
def test_any_other_status_is_a_failure(server: Server, status: int) -> None:
    """Errors are failures, and a redirect is one too: it is never followed."""
    body = b"" if status in {204, 304} else DOCUMENT
    server.behaviour = answer(body, status, {"Location": "/other"})
    with pytest.raises(FetchError, match=f"^the status is {status}$"):
        fetch(server.uri)
    assert server.paths == ["/keys"]


def test_a_redirect_to_a_file_is_not_followed(server: Server, tmp_path: Path) -> None:
    """No peer makes us read a file."""
    (tmp_path / "keys").write_bytes(DOCUMENT)
    server.behaviour = answer(b"", 302, {"Location": (tmp_path / "keys").as_uri()})
    with pytest.raises(FetchError):
        fetch(server.uri)
    with pytest.raises(FetchError):
        fetch((tmp_path / "keys").as_uri())


@pytest.mark.parametrize("told", [True, False])
def test_a_huge_document_is_cut_short(server: Server, told: bool) -> None:  # noqa: FBT001
    """Of a document without end no more is read than may be there."""

    def flood(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if told:
            handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    server.behaviour = flood
    with pytest.raises(FetchError, match=f"more than {MAX_BYTES} bytes"):
        fetch(server.uri)
    assert server.ended.wait(10)


def drip_body(handler: BaseHTTPRequestHandler, pause: Callable[[], bool]) -> None:
    """Send the body a byte at a time."""
    handler.send_response(200)
    handler.end_headers()
    while not pause():
        handler.wfile.write(b" ")


def drip_headers(handler: BaseHTTPRequestHandler, pause: Callable[[], bool]) -> None:
    """Send a header that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not pause():
        handler.wfile.write(b"x")


def silence(handler: BaseHTTPRequestHandler, pause: Callable[[], bool]) -> None:
    """Say nothing."""
    del handler
    while not pause():
        pass


@pytest.mark.parametrize("slow", [drip_body, drip_headers, silence])
def test_a_slow_answer_is_given_up_as_a_whole(server: Server, slow: Any) -> None:
    """A byte now and then keeps nobody waiting: the time is that of the whole fetch."""
    server.behaviour = lambda handler: slow(handler, lambda: server.ended.wait(0.01))
    started = monotonic()
    with pytest.raises(FetchError, match=r"^no answer (within 0\.2 s|in time)$"):
        fetch(server.uri, timeout=0.2)
    assert monotonic() - started < 3


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda handler: handler.wfile.write(b"not HTTP\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
        lambda handler: handler.connection.close(),
    ],
)
def test_broken_answers_are_failures(server: Server, behaviour: Behaviour) -> None:
    """What is no HTTP, or ends too early, is a failure that shows nothing of it."""
    server.behaviour = behaviour
    with pytest.raises(FetchError) as error:
        fetch(server.uri, timeout=2)
    assert "not HTTP" not in str(error.value)


def test_nobody_there_is_a_failure(server: Server) -> None:
    """A closed port is a failure at once."""
    server.stop()
    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        fetch(server.uri)


def test_a_packed_answer_is_not_unpacked(server: Server) -> None:
    """We ask for no compression, so a bomb stays packed."""
    bomb = gzip.compress(b" " * 50_000_000)
    server.behaviour = answer(bomb, headers={"Content-Encoding": "gzip"})
    assert fetch(server.uri) == bomb


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[Server]:
    """A server with a certificate that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = Server(context)
    yield server
    server.stop()


def test_a_certificate_must_be_vouched_for(
    tls_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown certificate is refused; one that the system trusts is taken."""
    with pytest.raises(FetchError, match="its certificate is refused"):
        fetch(tls_server.uri)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    assert fetch(tls_server.uri) == DOCUMENT


def test_a_peer_that_never_ends_the_handshake_is_given_up(server: Server) -> None:
    """TLS is part of the time: a server that speaks none is left."""
    with pytest.raises(FetchError):
        fetch(server.uri.replace("http:", "https:"), timeout=0.2)


async def test_the_loop_runs_while_a_slow_peer_is_waited_for(server: Server) -> None:
    """In a thread, a fetch stops nothing else."""
    server.behaviour = lambda handler: silence(handler, lambda: server.ended.wait(0.01))
    task = asyncio.create_task(asyncio.to_thread(fetch, server.uri, timeout=0.3))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 100
    with pytest.raises(FetchError):
        await task
