"""URLs of NATS servers, as users write them and as clusters announce them."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from testkit.probe import Probe, ProbeClient
from weenats import InvalidArgumentError, NatsServiceBuilder, NatsTransport
from weenats.transport.servers import Server, check_servers


def parsed(text: str) -> Server:
    """Return the one server of a text."""
    (server,) = check_servers(text)
    return server


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a", ("a", 4222)),
        ("a:1", ("a", 1)),
        ("TLS://a", ("a", 4222)),
        ("nats://a:/", ("a", 4222)),
        ("nats://me:x@a", ("a", 4222)),
        ("nats://[::1]:5", ("::1", 5)),
        ("nats://[fe80::1%eth0]:5", ("fe80::1%eth0", 5)),
        ("nats://[fe80::1%25eth0]:5", ("fe80::1%eth0", 5)),
        ("nats://[fe80::1%25]:5", ("fe80::1%25", 5)),
        ("ws://a/nats", ("a", 80)),
        ("wss://a", ("a", 443)),
    ],
)
def test_address_has_defaults(text: str, address: tuple[str, int]) -> None:
    """A URL without scheme is one of nats://, and each scheme has a default port."""
    assert parsed(text).url.address == address


@pytest.mark.parametrize(
    ("user_info", "user", "password"),
    [
        ("clerk:p%40ss%2Fw%3Ard%231%2C%25", "clerk", "p@ss/w:rd#1,%"),
        ("a%40b:x", "a@b", "x"),
        ("clerk:100%pure", "clerk", "100%pure"),
        ("clerk:%C3%A4", "clerk", "ä"),
        ("t%2Fken", "t/ken", None),
        ("clerk:", "clerk", ""),
        ("clerk:p:w", "clerk", "p:w"),
    ],
)
def test_user_and_password_are_decoded(user_info: str, user: str, password: str | None) -> None:
    """User and password are percent-decoded (RFC 3986); the printed URL does not have them."""
    server = parsed(f"nats://{user_info}@host:1")
    assert (server.url.username, server.url.password) == (user, password)
    assert str(server) == "nats://host:1"
    assert user not in repr(server)


@pytest.mark.parametrize(
    "given",
    [
        "nats://a:1,nats://b:2",
        " nats://a:1 , b:2, ",
        ["nats://a:1", "b:2"],
        ["a:1,b:2"],
        ("a:1", " b:2"),
    ],
)
def test_servers_are_separated_by_commas(given: Any) -> None:
    """Several servers may stand in one text, separated by commas."""
    assert [str(each) for each in check_servers(given)] == ["nats://a:1", "nats://b:2"]


MALFORMED = [
    *(f"nats://hidden:hidden@a:{port}" for port in ("0", "-1", "65536", "x", "1x", "٤")),
    "nats://me:hid#den@a:1",
    "nats://me:hid@den@a:1",
    "nats://me@hidden:hidden@a",
    "nats://me:1/hidden@a",
    "nats://me:hidden@",
    "nats://",
    "::1",
    "nats://me:hidden@[x]",
    "nats://me:hidden@a b",
    "nats://me:hidden@a\r\nPUB",
    "nats://me:%ffhidden@a",
    "nats://a?hidden",
    "nats://a;hidden",
    "nats://a\\hidden:1",
    "nats://%61%3A1",
    "nats://a%00:1",
    "nats://*:1",
    "nats://a..hidden",
    f"nats://{'hidden' * 11}",
    "nats://[::1]hidden:1",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_url_is_rejected_where_it_is_written(text: str) -> None:
    """Transport, client and builder reject it at once; the error does not show its content."""
    uses: list[Any] = [
        NatsTransport,
        ProbeClient.connect,
        lambda servers: NatsServiceBuilder(Probe(), servers),
        NatsServiceBuilder(Probe()).with_servers,
    ]
    for use in uses:
        for servers in (text, ["nats://good", text], f"nats://good,{text}"):
            with pytest.raises(InvalidArgumentError, match="URL of a NATS server is mal") as error:
                use(servers)
            assert "hidden" not in str(error.value)


@pytest.mark.parametrize("text", ["::1", "::1:4222", "nats://::1:4222", "nats://me:x@fe80::1%lo:1"])
def test_ipv6_address_without_brackets(text: str) -> None:
    """The error says how to write it."""
    with pytest.raises(InvalidArgumentError, match=r"an IPv6 address is in brackets: nats://\[::1"):
        check_servers(text)


@pytest.mark.parametrize("text", ["h:4222:4223", "nats://me:x@h:4222:4223", "h:x", "h:0"])
def test_what_is_wrong_with_a_port(text: str) -> None:
    """The error is about the port; about user and password only if the URL has them."""
    with pytest.raises(
        InvalidArgumentError, match=r"its port is not a number from 1 to 65535"
    ) as e:
        check_servers(text)
    assert ("percent-encoded" in str(e.value)) == ("@" in text)


def test_websocket_urls_are_not_mixed_with_others() -> None:
    """A connection cannot change between WebSocket and TCP."""
    assert len(check_servers("ws://a,wss://b")) == 2
    with pytest.raises(InvalidArgumentError, match="cannot be combined"):
        check_servers("ws://a,nats://b")


@pytest.mark.parametrize("url", ["ws://a", "wss://a"])
def test_websocket_without_aiohttp_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """The error comes where the URL is written, and names the extra."""
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    for use in (NatsTransport, ProbeClient.connect, NatsServiceBuilder(Probe()).with_servers):
        with pytest.raises(ImportError, match=r"pip install 'weenats\[websocket\]'"):
            use(url)  # type: ignore[operator]
    assert check_servers("nats://a")


@pytest.mark.parametrize(
    ("given", "address", "expected", "tls_name"),
    [
        ("nats://me:x%2Fy@a", "10.0.0.2:4222", "nats://me:x%2Fy@10.0.0.2:4222", "a"),
        ("tls://a", "10.0.0.2:5", "tls://10.0.0.2:5", "a"),
        ("nats://10.0.0.1", "10.0.0.2:5", "nats://10.0.0.2:5", None),
        ("nats://a", "b:5", "nats://b:5", None),
        ("ws://t@a", "[::1]:5", "ws://t@[::1]:5", "a"),
    ],
)
def test_announced_server_inherits(
    given: str, address: str, expected: str, tls_name: str | None
) -> None:
    """It has the scheme and the credentials, and an IP address has the name in certificates."""
    server = parsed(given).announced(address, uses_tls=True)
    assert server is not None
    assert (server.url.geturl(), server.tls_name) == (expected, tls_name)
    assert server.announced("10.0.0.9:1", uses_tls=True).tls_name == (  # type: ignore[union-attr]
        tls_name or (None if given == "nats://10.0.0.1" else "b")
    )
    assert parsed(given).announced(address, uses_tls=False).tls_name is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "address", ["", ":1", "a:x", "a:99999", "a b:1", "a:1/x", "[:1", "[::1]a:1"]
)
def test_malformed_announcement_is_ignored(address: str) -> None:
    """What a server announces is not trusted to be well-formed."""
    assert parsed("nats://a").announced(address, uses_tls=True) is None
