"""TLS to NATS: whom the client trusts, by which name, and whom the server trusts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from receipts import ReceiptsClient
from receipts.handlers import Receipts
from testkit.certificates import CertificateAuthority
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
    """Who vouches for whom."""

    authority: CertificateAuthority
    stranger: CertificateAuthority
    folder: Path

    def context(
        self, authority: CertificateAuthority, client: CertificateAuthority | None = None
    ) -> ssl.SSLContext:
        """Return what trusts an authority, and shows a certificate that another one made."""
        context = ssl.create_default_context(cafile=str(authority.pem))
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
    """A server that speaks TLS."""
    with serving(image, trust, verify=False) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(image: str, trust: Trust) -> Iterator[NatsContainer]:
    """A server that wants a certificate of its clients too."""
    with serving(image, trust, verify=True) as running:
        yield running


@pytest.fixture(scope="module")
def plain(image: str) -> Iterator[NatsContainer]:
    """A server that speaks no TLS, though it asks for a password."""
    with NatsContainer(image, PLAIN) as running:
        yield running


def options_of(tls: ssl.SSLContext | None) -> ConnectionOptions:
    """Return the right user with a TLS context, and time enough to ask for ever."""
    return ConnectionOptions(user="clerk", password="hunter2", tls=tls, connect_timeout=60)


async def works(url: str, tls: ssl.SSLContext | None) -> None:
    """Serve and call."""
    service = NatsServiceBuilder(Receipts(), url, connection=options_of(tls)).build()
    async with service, ReceiptsClient.connect(url, connection=options_of(tls)) as receipts:
        assert (await receipts.add_item("r-1", TEA)).total == 0.3


async def refused(url: str, options: ConnectionOptions, match: str) -> None:
    """Check that client and service are told in bounded time, and that nothing goes on."""
    client = ReceiptsClient.connect(url, connection=options, timeout=90)
    service = NatsServiceBuilder(Receipts(), url, connection=options).build()
    for attempt in (partial(client.get, "r-1"), service.start):
        with pytest.raises(UnavailableError, match=match) as told:
            await asyncio.wait_for(attempt(), LIMIT)
        assert "hunter2" not in str(told.value)
    await client.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_trusted_server(encrypted: NatsContainer, trust: Trust) -> None:
    """Its certificate is of the authority that is trusted, and for the name that was asked for."""
    await works(f"tls://localhost:{encrypted.port}", trust.context(trust.authority))
    await works(f"nats://localhost:{encrypted.port}", trust.context(trust.authority))


async def test_a_server_that_nobody_trusted_vouches_for(
    encrypted: NatsContainer, trust: Trust
) -> None:
    """It is told at once, also where the machine's own authorities are trusted."""
    url = f"tls://localhost:{encrypted.port}"
    for context in (trust.context(trust.stranger), None):
        await refused(url, options_of(context), "CERTIFICATE_VERIFY_FAILED")


async def test_a_server_of_another_name(encrypted: NatsContainer, trust: Trust) -> None:
    """A certificate for localhost is none for 127.0.0.1."""
    url = f"tls://127.0.0.1:{encrypted.port}"
    await refused(url, options_of(trust.context(trust.authority)), "IP address mismatch")


async def test_a_server_without_tls_gets_no_password(plain: NatsContainer, trust: Trust) -> None:
    """Whoever asked for TLS never speaks without, be it by a context or by the URL."""
    context = trust.context(trust.authority)
    await refused(f"nats://localhost:{plain.port}", options_of(context), "offers no TLS")
    await refused(f"tls://localhost:{plain.port}", options_of(None), "offers no TLS")
    await works(f"nats://localhost:{plain.port}", None)


async def test_a_client_with_a_certificate(mutual: NatsContainer, trust: Trust) -> None:
    """Client and server trust each other."""
    await works(
        f"tls://localhost:{mutual.port}", trust.context(trust.authority, client=trust.authority)
    )


async def test_a_client_without_a_certificate(mutual: NatsContainer, trust: Trust) -> None:
    """Without one, or with one that the server does not trust, nobody gets in."""
    url = f"tls://localhost:{mutual.port}"
    for client in (None, trust.stranger):
        context = trust.context(trust.authority, client=client)
        options = ConnectionOptions(
            user="clerk", password="hunter2", tls=context, connect_timeout=2
        )
        await refused(url, options, "no connection to NATS")
