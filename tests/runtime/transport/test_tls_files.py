"""Certificates that are renewed while a process runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from testkit.certificates import CertificateAuthority
from testkit.tcp_proxy import TcpProxy
from testkit.transports import check_refusal, connected
from testkit.waiting import LIMIT
from weenats import UnavailableError
from weenats.transport import ConnectionOptions, NatsTransport
from weenats.transport.tls_files import TlsFiles


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """Return an authority for servers and clients."""
    return CertificateAuthority(tmp_path)


def test_unchanged_files_are_read_once(authority: CertificateAuthority) -> None:
    """The context is the same until a file changes."""
    files = TlsFiles(authority.pem, authority.certificate("client").pem, None)
    context = files()
    assert files() is context
    authority.certificate("client")  # with another key
    assert files() is not context


def cut(path: Path) -> None:
    """Leave half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "spoil",
    [Path.unlink, cut, lambda path: path.write_bytes(b""), lambda path: path.write_text("x")],
)
@pytest.mark.parametrize("which", ["authority", "client"])
def test_spoilt_files_leave_the_former_context(
    authority: CertificateAuthority,
    which: str,
    spoil: Callable[[Path], Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Files that are missing, empty, half-written or something else are tried again."""
    client = authority.certificate("client").pem
    files = TlsFiles(authority.pem, client, None)
    former = files()
    path = client if which == "client" else authority.pem
    whole = path.read_bytes()
    spoil(path)
    assert files() is former
    assert "renewed TLS files cannot be used" in caplog.text
    path.write_bytes(whole)
    files()  # as new as before, or read again
    authority.certificate("client")
    assert files() is not former


def test_key_of_another_certificate_is_not_used(authority: CertificateAuthority) -> None:
    """Between the renewal of a certificate and that of its key the former pair is used."""
    first, other = authority.certificate("first").pem, authority.certificate("other").pem
    key = first.with_name("key.pem")
    key.write_bytes(first.read_bytes())
    files = TlsFiles(authority.pem, first, key)
    former = files()
    first.write_bytes(other.read_bytes())
    assert files() is former
    key.write_bytes(other.read_bytes())
    assert files() is not former


async def test_renewed_certificate_is_presented(
    nats_url: str, authority: CertificateAuthority
) -> None:
    """After a renewal the next connection presents the new certificate."""
    serving = authority.certificate("localhost").serving
    serving.load_verify_locations(authority.pem)
    serving.verify_mode = ssl.CERT_REQUIRED
    client = authority.certificate("client").pem
    stranger = CertificateAuthority(authority.pem.parent, "stranger").certificate("client2").pem
    good = client.read_bytes()
    client.write_bytes(stranger.read_bytes())
    files = TlsFiles(authority.pem, client, None)
    options = ConnectionOptions(tls=files, tls_handshake_first=True, connect_timeout=LIMIT)
    async with TcpProxy(int(nats_url.rpartition(":")[2]), tls=serving) as proxy:
        url = f"localhost:{proxy.port}"
        with pytest.raises(UnavailableError):
            await NatsTransport(url, replace(options, connect_timeout=0.1)).connect()
        client.write_bytes(good)
        async with connected(url, replace(options, connect_timeout=LIMIT)) as transport:
            assert transport.is_connected


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greet as a server that requires TLS."""
    writer.write(b'INFO {"headers":true,"max_payload":1048576,"tls_required":true}\r\n')
    await reader.read()
    writer.close()


def cancelled() -> None:
    """Raise what is no subclass of Exception."""
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "give",
    [lambda: 1 / 0, cancelled, lambda: "context"],
    ids=["raises", "cancelled", "no context"],
)
@pytest.mark.parametrize("first", [True, False])
async def test_failing_tls_function_is_reported(give: Any, first: Any) -> None:
    """The error of connecting says what the function did, and nothing hangs."""
    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"127.0.0.1:{port}"
        await check_refusal(url, "the function `tls`", tls=give, tls_handshake_first=first)
