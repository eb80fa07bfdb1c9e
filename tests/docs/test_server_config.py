"""The server configuration of the deployment guide, on a real nats-server."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from receipts import AddItem, ReceiptsClient, RemoveItem
from receipts.handlers import Receipts
from testkit.certificates import CertificateAuthority
from testkit.documents import DOCUMENTS
from testkit.paths import REPOSITORY
from weenats import ConnectionOptions, NatsServiceBuilder, PermissionDeniedError
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main

[GUIDE] = [each for each in DOCUMENTS if each.path.name == "deployment.md"]
USERS = ("receipts", "till", "operator", "admin")


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    """The authority of the certificate of the server."""
    return CertificateAuthority(tmp_path)


@pytest.fixture
def url(
    authority: CertificateAuthority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[str]:
    """A server with the configuration of the guide; paths and ports are those of the test."""
    monkeypatch.chdir(REPOSITORY)
    for block in GUIDE.of_kind("console"):
        for line in block.text.splitlines():
            match shlex.split(line):
                case ["$", "weenats", *arguments, ">", name]:
                    assert main(arguments) == 0
                    (tmp_path / name).write_text(capsys.readouterr().out)
                case _:
                    pass
    [block] = GUIDE.of_kind("nats")
    pem = authority.certificate("localhost").pem
    config = re.sub(r"^( *store_dir|listen|http): .*$", "", block.text, flags=re.MULTILINE)
    config = re.sub(r"/etc/nats/server(-key)?\.pem", pem.as_posix(), config)
    for user in USERS:
        monkeypatch.setenv(f"{user.upper()}_PASSWORD", f"secret-{user}")
    file = tmp_path / "nats.conf"
    file.write_text(config)
    with NatsServer(arguments=["-c", str(file)]) as server:
        yield f"tls://localhost:{server.port}"


async def test_configuration(
    url: str,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The service stores events, the client calls what was named alone, the operator looks on."""

    def connection(user: str) -> ConnectionOptions:
        return ConnectionOptions(
            user=user,
            password=f"secret-{user}",
            inbox_prefix=f"_INBOX_{user}",
            tls=authority.trusting,
        )

    builder = NatsServiceBuilder(Receipts(), url, connection=connection("receipts"))
    async with (
        builder.with_streams("apply").build(),
        ReceiptsClient.connect(url, connection=connection("till")) as till,
    ):
        receipt = await till.add_item("r-1", AddItem(name="Tea", price=3.5, quantity=1))
        assert receipt.total == 3.5
        assert (await till.get_receipt("r-1")).revision == 1
        with pytest.raises(PermissionDeniedError, match=r"receipts\.command\.receipt\.remove-item"):
            await till.remove_item("r-1", RemoveItem(name="Tea"))
        for name, value in {
            "USER": "operator",
            "PASSWORD": "secret-operator",
            "INBOX_PREFIX": "_INBOX_operator",
            "TLS_CA": str(authority.pem),
        }.items():
            monkeypatch.setenv(f"WEENATS_{name}", value)
        status = ["streams", "status", "schemas/receipts", "--servers", url, "--json"]
        capsys.readouterr()
        assert await asyncio.to_thread(main, status) == 0
        [stream] = json.loads(capsys.readouterr().out)
        assert stream["messages"] == 1
