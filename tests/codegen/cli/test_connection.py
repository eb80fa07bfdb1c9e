"""How commands connect: by the environment variables that services read."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.certificates import CertificateAuthority
from weenats.testing import NatsServer
from weenats.testing.nats_server import free_ports
from weenats_codegen.cli.main import main


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """An authority that no system trusts."""
    return CertificateAuthority(tmp_path)


@pytest.fixture
def url(authority: CertificateAuthority) -> Iterator[str]:
    """A server with TLS, whose only user has a password and an inbox of its own."""
    config = f"""
        {authority.certificate("localhost").config()}
        authorization {{ users: [ {{ user: ops, password: secret, permissions: {{
            publish: ["$SRV.>"], subscribe: ["_INBOX_ops.>"] }} }} ] }}
    """
    with NatsServer(config=config) as server:
        yield f"nats://localhost:{server.port}"


def test_commands_connect_by_the_variables_of_services(
    url: str,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """User, certificates and inbox prefix are those of the environment."""
    monkeypatch.setenv("WEENATS_TLS_CA", str(authority.pem))
    monkeypatch.setenv("WEENATS_INBOX_PREFIX", "_INBOX_ops")
    monkeypatch.setenv("WEENATS_USER", "ops")
    monkeypatch.setenv("WEENATS_PASSWORD", "secret")
    assert main(["services", "--servers", url, "--json"]) == 0
    monkeypatch.setenv("WEENATS_PASSWORD", "wrong")
    assert main(["services", "--servers", url]) == 1
    assert capsys.readouterr().err.endswith(
        "refused the credentials of the connection;"
        " set WEENATS_USER and WEENATS_PASSWORD, or WEENATS_CREDENTIALS\n"
    )
    with_user = url.replace("//", "//ops:secret@")
    assert main(["services", "--servers", with_user, "--json"]) == 0  # it comes first


def test_unknown_certificate_names_the_variable(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server whose certificate is not trusted is not one with the wrong URL."""
    assert main(["services", "--servers", url]) == 1
    shown = capsys.readouterr().err
    assert shown.endswith("; WEENATS_TLS_CA is the path of the certificates to trust\n")


def test_http_server_is_no_nats_server(capsys: pytest.CaptureFixture[str]) -> None:
    """The port of monitoring is found out, which waits for a request instead of greeting."""
    (port,) = free_ports(1)
    with NatsServer(config=f"http: 127.0.0.1:{port}\n"):
        assert main(["services", "--servers", f"nats://127.0.0.1:{port}"]) == 1
    assert capsys.readouterr().err == (
        f"weenats: an HTTP server listens at nats://127.0.0.1:{port}; clients of NATS use another"
        " port, by default 4222 (8222 is that of monitoring)\n"
    )


def test_server_that_hangs_is_no_http_server(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers nothing is waited for until the time limit."""
    monkeypatch.setattr("weenats_codegen.cli.connection._PATIENCE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        url = f"nats://127.0.0.1:{port}"
        assert main(["health", "receipts", "--timeout", "0.5", "--servers", url]) == 1
    assert "does not greet" in capsys.readouterr().err
