"""How commands connect: by the environment variables that services read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testkit.certificates import CertificateAuthority
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """An authority that no system trusts."""
    return CertificateAuthority(tmp_path)


@pytest.fixture
def url(authority: CertificateAuthority) -> Iterator[str]:
    """A server with TLS, whose only user has a password and an inbox of its own."""
    pem = authority.certificate("localhost").pem
    config = f"""
        tls {{ cert_file: "{pem}", key_file: "{pem}" }}
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
    assert "PERMISSION_DENIED" in capsys.readouterr().err
    with_user = url.replace("//", "//ops:secret@")
    assert main(["services", "--servers", with_user, "--json"]) == 0  # it comes first


def test_unknown_certificate_names_the_variable(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server whose certificate is not trusted is not one with the wrong URL."""
    assert main(["services", "--servers", url]) == 1
    shown = capsys.readouterr().err
    assert shown.endswith("; WEENATS_TLS_CA is the path of the certificates to trust\n")
