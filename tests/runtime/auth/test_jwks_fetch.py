"""Fetching a JWKS from an HTTP server that misbehaves."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.error import URLError

import pytest

from testkit.certificates import CertificateAuthority, self_signed
from testkit.http_server import DOCUMENT, Behaviour, HttpServer, answer
from testkit.waiting import LIMIT, settle, until
from weenats.auth import jwks_fetch
from weenats.auth.jwks_fetch import MAX_BYTES, FetchError, _reason, fetch


@pytest.fixture
def server() -> Iterator[HttpServer]:
    """An HTTP server without TLS."""
    server = HttpServer()
    yield server
    server.stop()


def test_document_is_returned(server: HttpServer) -> None:
    """A document of up to MAX_BYTES is returned whole."""
    assert fetch(server.uri) == DOCUMENT
    server.behaviour = answer(b"x" * MAX_BYTES)
    assert len(fetch(server.uri)) == MAX_BYTES


def test_accept_header_requests_json(server: HttpServer) -> None:
    """The request accepts application/json only."""
    accepted: list[str | None] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        accepted.append(handler.headers["Accept"])
        answer()(handler)

    server.behaviour = note
    fetch(server.uri)
    assert accepted == ["application/json"]


def test_headers_of_the_request(server: HttpServer) -> None:
    """The request names weenats as its agent; given headers are added, or replace the default."""
    seen: list[Any] = []

    def note(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.headers.get_all("User-Agent"), handler.headers["X-Key"]))
        answer()(handler)

    server.behaviour = note
    fetch(server.uri)
    fetch(server.uri, headers={"user-agent": "browser", "X-Key": "k"})
    assert seen == [(["weenats"], None), (["browser"], "k")]


def test_timeout_includes_name_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer times out, and the fetch does not wait for it."""
    answered = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        answered.wait(LIMIT)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(FetchError, match=r"^no response (within 0\.2 s|in time)$"):
        fetch("http://issuer.example/keys", timeout=0.2)
    assert not answered.is_set()
    answered.set()


def test_unknown_host_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not exist, or cannot exist, is an error."""
    resolve = socket.getaddrinfo

    def resolve_at_once(host: Any, *arguments: Any, **options: Any) -> Any:
        if host == "no-such-host.invalid":  # a name server may take longer than the fetch
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_at_once)
    for host in ("no-such-host.invalid", "a" * 64 + ".invalid"):
        with pytest.raises(FetchError, match="cannot be read"):
            fetch(f"http://{host}/keys")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_timeout_includes_connecting(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not answer the connection attempt times out."""
    given: list[Any] = []

    def swallow(_: Any, timeout: Any, *__: Any) -> None:
        given.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(jwks_fetch, "open_socket", swallow)
    with pytest.raises(FetchError, match=r"^no response in time$"):
        fetch(f"{scheme}://127.0.0.1/keys", timeout=LIMIT)
    assert given == [LIMIT]


@pytest.mark.parametrize("status", [201, 204, 301, 302, 304, 307, 308, 401, 404, 429, 500, 503])
def test_status_other_than_200_is_an_error(server: HttpServer, status: int) -> None:
    """Error statuses and redirects fail; a redirect is never followed."""
    body = b"" if status in {204, 304} else DOCUMENT
    server.behaviour = answer(body, status, {"Location": "/other"})
    with pytest.raises(FetchError, match=f"^the response has status {status}$"):
        fetch(server.uri)
    assert server.paths == ["/keys"]


def test_redirect_to_a_file_is_not_followed(server: HttpServer, tmp_path: Path) -> None:
    """A server cannot make the client read a local file."""
    (tmp_path / "keys").write_bytes(DOCUMENT)
    server.behaviour = answer(b"", 302, {"Location": (tmp_path / "keys").as_uri()})
    with pytest.raises(FetchError):
        fetch(server.uri)
    with pytest.raises(FetchError):
        fetch((tmp_path / "keys").as_uri())


@pytest.mark.parametrize("told", [True, False])
def test_oversized_document_is_rejected(server: HttpServer, told: bool) -> None:
    """Reading stops at MAX_BYTES, with and without a Content-Length."""

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
    assert server.ended.wait(LIMIT)


def drip_body(handler: BaseHTTPRequestHandler, pause: Callable[[], bool]) -> None:
    """Send the body one byte at a time."""
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
    """Send nothing."""
    del handler
    while not pause():
        pass


@pytest.mark.timing
@pytest.mark.parametrize("slow", [drip_body, drip_headers, silence])
def test_timeout_covers_the_whole_fetch(server: HttpServer, slow: Any) -> None:
    """A server that sends a byte now and then does not extend the timeout."""
    server.behaviour = lambda handler: slow(handler, lambda: server.ended.wait(0.01))
    started = monotonic()
    with pytest.raises(FetchError, match=r"^no response (within 0\.2 s|in time)$"):
        fetch(server.uri, timeout=0.2)
    assert monotonic() - started < 3


@pytest.mark.timing
@pytest.mark.parametrize("slow", [drip_headers, silence])
def test_timeout_covers_a_proxy(
    server: HttpServer, slow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that sends a byte now and then does not extend the timeout."""
    monkeypatch.setenv("https_proxy", server.uri)
    server.behaviour = lambda handler: slow(handler, lambda: server.ended.wait(0.01))
    started = monotonic()
    with pytest.raises(FetchError, match=r"^no response (within 0\.2 s|in time)$"):
        fetch("https://issuer.example/keys", timeout=0.2)
    assert monotonic() - started < 3


def test_https_uses_the_proxy_of_the_environment(
    server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An https URL is fetched over a tunnel of the proxy; its refusal is an error."""
    monkeypatch.setenv("https_proxy", server.uri)
    server.behaviour = answer(b"", 403)
    with pytest.raises(FetchError, match=r"^the document cannot be read \(OSError\)$"):
        fetch("https://issuer.example/keys")
    assert server.paths == ["issuer.example:443"]


def test_plain_http_uses_no_proxy(server: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP, which is trusted on the way to the host alone, does not go over a proxy."""
    proxy = HttpServer()
    monkeypatch.setenv("http_proxy", proxy.uri)
    monkeypatch.setenv("all_proxy", proxy.uri)
    monkeypatch.delenv("no_proxy", raising=False)
    assert fetch(server.uri) == DOCUMENT
    proxy.stop()
    assert (server.paths, proxy.paths) == (["/keys"], [])


@pytest.mark.parametrize(
    "behaviour",
    [
        lambda handler: handler.wfile.write(b"not HTTP\r\n\r\n"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"),
        lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000),
        lambda handler: handler.connection.close(),
    ],
)
def test_invalid_http_response_is_an_error(server: HttpServer, behaviour: Behaviour) -> None:
    """A response that is not HTTP, or truncated, fails; the error shows none of its content."""
    server.behaviour = behaviour
    with pytest.raises(FetchError) as error:
        fetch(server.uri, timeout=2)
    assert "not HTTP" not in str(error.value)


def test_refused_connection_is_an_error(server: HttpServer) -> None:
    """A closed port fails immediately."""
    server.stop()
    with pytest.raises(FetchError, match="ConnectionRefusedError"):
        fetch(server.uri)


def test_url_without_a_host_is_an_error() -> None:
    """The error has the class of the urllib error as reason."""
    with pytest.raises(FetchError, match=r"^the document cannot be read \(URLError\)$"):
        fetch("http:///keys")


@pytest.mark.parametrize("error", [TimeoutError("s3cret"), URLError(TimeoutError("s3cret"))])
def test_socket_timeout_is_reported_as_timeout(error: Exception) -> None:
    """A timeout is reported the same way whether urllib wraps it or not."""
    assert _reason(error) == "no response in time"


def test_compressed_response_is_not_decompressed(server: HttpServer) -> None:
    """A gzip bomb is returned as it is."""
    bomb = gzip.compress(b" " * 5_000_000)
    server.behaviour = answer(bomb, headers={"Content-Encoding": "gzip"})
    assert fetch(server.uri) == bomb


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[HttpServer]:
    """A server with a self-signed certificate."""
    server = HttpServer(self_signed(tmp_path, "127.0.0.1").serving)
    yield server
    server.stop()


def test_untrusted_certificate_is_rejected(
    tls_server: HttpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown certificate is rejected; one that the system trusts is accepted."""
    with pytest.raises(FetchError, match="invalid certificate"):
        fetch(tls_server.uri)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    assert fetch(tls_server.uri) == DOCUMENT


def test_certificate_of_another_host_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate must be for the host of the URL."""
    authority = CertificateAuthority(tmp_path)
    server = HttpServer(authority.certificate("issuer.example").serving)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    for host, what in (("127.0.0.1", "IP address"), ("localhost", "Hostname")):
        with pytest.raises(FetchError, match=f"^invalid certificate: {what} mismatch"):
            fetch(server.uri.replace("127.0.0.1", host))
    server.stop()


def test_failed_handshake_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a failed TLS handshake has the reason, such as a demanded client certificate."""
    authority = self_signed(tmp_path, "127.0.0.1")
    demanding = authority.serving
    demanding.verify_mode = ssl.CERT_REQUIRED
    demanding.maximum_version = ssl.TLSVersion.TLSv1_2  # the refusal is part of the handshake
    server = HttpServer(demanding)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.pem))
    with pytest.raises(FetchError, match=r"^TLS failed: .*handshake failure"):
        fetch(server.uri)
    server.stop()


def test_timeout_includes_the_tls_handshake(server: HttpServer) -> None:
    """A server that does not speak TLS times out."""
    with pytest.raises(FetchError):
        fetch(server.uri.replace("http:", "https:"), timeout=0.2)


async def test_event_loop_runs_during_a_slow_fetch(server: HttpServer) -> None:
    """A fetch in a thread does not block the event loop."""
    opened = threading.Event()

    def wait(handler: BaseHTTPRequestHandler) -> None:
        opened.wait(LIMIT)
        answer()(handler)

    server.behaviour = wait
    task = asyncio.create_task(asyncio.to_thread(fetch, server.uri, timeout=LIMIT))
    await until(lambda: server.paths)
    await settle()
    assert not task.done()
    opened.set()
    assert await task == DOCUMENT
