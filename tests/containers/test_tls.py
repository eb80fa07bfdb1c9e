"""TLS connections to NATS: server certificates, host names and client certificates."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from receipts import ReceiptsClient
from testkit.certificates import CertificateAuthority
from testkit.core_receipts import CoreReceipts
from testkit.counting_receipts import TEA
from testkit.nats_container import NatsContainer
from testkit.waiting import LIMIT
from weenats import ConnectionOptions, NatsServiceBuilder, UnavailableError

TLS = """
tls { cert_file: "/server.pem", key_file: "/server.pem", ca_file: "/authority.pem", verify: %s }
authorization { user: "clerk", password: "hunter2" }
"""
PLAIN = 'authorization { user: "clerk", password: "hunter2" }'


@dataclass
class Trust:
    """A trusted and an untrusted certificate authority."""

    authority: CertificateAuthority
    stranger: CertificateAuthority
    folder: Path

    def context(
        self, authority: CertificateAuthority, client: CertificateAuthority | None = None
    ) -> ssl.SSLContext:
        """Return a context that trusts an authority, with a client certificate of another one."""
        context = authority.trusting
        if client is not None:
            context.load_cert_chain(client.certificate("clerk").pem)
        return context


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """An authority that is trusted, and one that is not."""
    mine, theirs = tmp_path_factory.mktemp("mine"), tmp_path_factory.mktemp("theirs")
    return Trust(CertificateAuthority(mine), CertificateAuthority(theirs), mine)


def serving(image: str, trust: Trust, *, verify: bool) -> NatsContainer:
    """Return a server whose certificate is for localhost."""
    files = {
        "server.pem": trust.authority.certificate("localhost").pem.read_bytes(),
        "authority.pem": trust.authority.pem.read_bytes(),
    }
    return NatsContainer(image, TLS % str(verify).lower(), files)


@pytest.fixture(scope="module")
def encrypted(image: str, trust: Trust) -> Iterator[NatsContainer]:
    """A server with TLS."""
    with serving(image, trust, verify=False) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(image: str, trust: Trust) -> Iterator[NatsContainer]:
    """A server that requires client certificates."""
    with serving(image, trust, verify=True) as running:
        yield running


@pytest.fixture(scope="module")
def plain(image: str) -> Iterator[NatsContainer]:
    """A server without TLS that requires a password."""
    with NatsContainer(image, PLAIN) as running:
        yield running


def options_of(tls: ssl.SSLContext | None) -> ConnectionOptions:
    """Return options with a valid user, this TLS context and a long connect timeout."""
    return ConnectionOptions(user="clerk", password="hunter2", tls=tls, connect_timeout=60)


async def assert_connects(url: str, tls: ssl.SSLContext | None) -> None:
    """Check that a service and a client connect and that a call succeeds."""
    service = NatsServiceBuilder(CoreReceipts(), url, connection=options_of(tls)).build()
    async with service, ReceiptsClient.connect(url, connection=options_of(tls)) as receipts:
        assert (await receipts.add_item("r-1", TEA)).total == 0.3


async def assert_rejected(url: str, options: ConnectionOptions, match: str) -> None:
    """Check that client and service fail in bounded time and leave no tasks."""
    client = ReceiptsClient.connect(url, connection=options, timeout=90)
    service = NatsServiceBuilder(CoreReceipts(), url, connection=options).build()
    for attempt in (partial(client.get_receipt, "r-1"), service.start):
        with pytest.raises(UnavailableError, match=match) as told:
            await asyncio.wait_for(attempt(), LIMIT)
        assert "hunter2" not in str(told.value)
    await client.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_trusted_server_certificate(encrypted: NatsContainer, trust: Trust) -> None:
    """A certificate of a trusted authority for the right host name is accepted."""
    await assert_connects(f"tls://localhost:{encrypted.port}", trust.context(trust.authority))
    await assert_connects(f"nats://localhost:{encrypted.port}", trust.context(trust.authority))


async def test_untrusted_server_certificate(encrypted: NatsContainer, trust: Trust) -> None:
    """A certificate of an unknown authority is rejected immediately."""
    url = f"tls://localhost:{encrypted.port}"
    for context in (trust.context(trust.stranger), None):
        await assert_rejected(url, options_of(context), "CERTIFICATE_VERIFY_FAILED")


async def test_certificate_for_another_host_name(encrypted: NatsContainer, trust: Trust) -> None:
    """A certificate for localhost is not valid for 127.0.0.1."""
    url = f"tls://127.0.0.1:{encrypted.port}"
    await assert_rejected(url, options_of(trust.context(trust.authority)), "IP address mismatch")


async def test_no_password_is_sent_without_tls(plain: NatsContainer, trust: Trust) -> None:
    """If the context or the URL requires TLS, a plain connection is rejected."""
    context = trust.context(trust.authority)
    await assert_rejected(f"nats://localhost:{plain.port}", options_of(context), "offers no TLS")
    await assert_rejected(f"tls://localhost:{plain.port}", options_of(None), "offers no TLS")
    await assert_connects(f"nats://localhost:{plain.port}", None)


async def test_client_certificate(mutual: NatsContainer, trust: Trust) -> None:
    """Client and server accept each other's certificate."""
    await assert_connects(
        f"tls://localhost:{mutual.port}", trust.context(trust.authority, client=trust.authority)
    )


async def test_missing_or_untrusted_client_certificate(mutual: NatsContainer, trust: Trust) -> None:
    """Without a trusted client certificate no connection is made."""
    url = f"tls://localhost:{mutual.port}"
    for client in (None, trust.stranger):
        context = trust.context(trust.authority, client=client)
        options = ConnectionOptions(
            user="clerk", password="hunter2", tls=context, connect_timeout=2
        )
        await assert_rejected(url, options, "no connection to NATS")
