"""NATS servers: the URLs that users write, and those that a cluster announces."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, cast
from urllib.parse import ParseResult, unquote, urlparse

from typing_extensions import override

from weenats._internal.extras import check_installed
from weenats._internal.hosts import is_ip, is_ipv6
from weenats.errors import InvalidArgumentError, connection_error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Server", "ServerUrl", "check_servers"]
_TCP: Final = ("nats", "tls")
_WEBSOCKET: Final = ("ws", "wss")
_SCHEME: Final = re.compile(r"\s*([a-z][a-z0-9+.-]{0,19})://", re.ASCII | re.IGNORECASE)
_HOST: Final = re.compile(r"([\w.-]+|\[[0-9a-f:.]+(%[\w.%-]+)?\])(:[0-9]*)?", re.IGNORECASE)
"""Host and port: a name, which may be international, or an address, which may have a zone."""
_PORT: Final = 4222
_WEBSOCKET_PORTS: Final = {"ws": 80, "wss": 443}
_ENCODE: Final = "; reserved characters of user and password must be percent-encoded"


class ServerUrl(ParseResult):
    """The URL of a server.

    `username`, `password` and the zone of the address are decoded; its repr does not show them.
    """

    __slots__ = ()

    @property
    @override
    def username(self) -> str | None:
        return _decoded(super().username)

    @property
    @override
    def password(self) -> str | None:
        return _decoded(super().password)

    @property
    @override
    def hostname(self) -> str | None:
        host = super().hostname or ""
        address, _, zone = host.partition("%25")  # the % before a zone, see RFC 6874
        return (f"{address}%{zone}" if zone else host) or None

    @property
    def user_info(self) -> str:
        """User and password as in the URL, with the @ behind them; "" for none."""
        user, at, _ = self.netloc.rpartition("@")
        return user + at

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.hostname or "", self.port or _WEBSOCKET_PORTS.get(self.scheme, _PORT)

    @override
    def __str__(self) -> str:
        return self._replace(netloc=self.netloc.rpartition("@")[2], query="").geturl()

    @override
    def __repr__(self) -> str:
        return f"ServerUrl({self})"


class Server(NamedTuple):
    """A server to connect to.

    Attributes:
        url: its URL, with the credentials for it.
        tls_name: the host that its certificate must be valid for; None for that of the URL.
        is_announced: whether its cluster announced it, in contrast to servers that the user named.
    """

    url: ServerUrl
    tls_name: str | None = None
    is_announced: bool = False

    def announced(self, address: str, *, uses_tls: bool) -> Server | None:
        """Return the server at an address that this one announced.

        It has the same credentials. Clusters announce IP addresses, and certificates are valid for
        names: the certificate must be valid for the name by which this server was reached.

        Args:
            address: host and port.
            uses_tls: whether the connection to this server uses TLS.

        Returns:
            The server; None when the address is malformed.
        """
        try:
            url = _parse(f"{self.url.scheme}://{self.url.user_info}{address}")
        except InvalidArgumentError:
            return None
        name = self.tls_name or self.url.hostname or ""
        keeps_name = uses_tls and is_ip(url.hostname or "") and not is_ip(name)
        return Server(url, name if keeps_name else None, is_announced=True)

    def __str__(self) -> str:
        return str(self.url)


def check_servers(servers: str | Sequence[str]) -> tuple[Server, ...]:
    """Check the URLs of NATS servers.

    Args:
        servers: a URL or several; a text may have several, separated by commas.

    Raises:
        InvalidArgumentError: there is none, one is malformed or has the wrong scheme, or only some
            of them are WebSocket URLs.
        ImportError: a WebSocket URL is given without the extra `websocket`.
    """
    given = cast("object", (servers,) if isinstance(servers, str) else servers)
    listed = tuple(cast("Iterable[object]", given)) if isinstance(given, Iterable) else ()
    texts = [each for each in listed if isinstance(each, str) and each.strip(" \t\r\n,")]
    if not texts or len(texts) != len(listed):
        raise connection_error(
            InvalidArgumentError, "servers must be the URL of a NATS server, or several URLs"
        )
    urls = [_parse(part.strip()) for text in texts for part in text.split(",") if part.strip()]
    websockets = sum(url.scheme in _WEBSOCKET for url in urls)
    if websockets:
        check_installed(
            "ws:// and wss:// need the package aiohttp: pip install 'weenats[websocket]'", "aiohttp"
        )
        if websockets < len(urls):
            raise connection_error(
                InvalidArgumentError, "WebSocket URLs cannot be combined with other URLs"
            )
    return tuple(Server(url) for url in urls)


def _parse(text: str) -> ServerUrl:
    """Parse a URL; errors do not show it, since it may contain a password.

    Raises:
        InvalidArgumentError: it is malformed, or not the URL of a NATS server.
    """
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1].lower() not in (*_TCP, *_WEBSOCKET):
        known = ", ".join(f"{each}://" for each in (*_TCP, *_WEBSOCKET))
        raise connection_error(
            InvalidArgumentError,
            f"the URL of a NATS server begins with {known}, not {scheme[0].strip()}",
        )
    if not text.isprintable() or " " in text:
        raise _malformed("it contains spaces or characters that are not printable")
    hint = _ENCODE if "@" in text else ""
    try:
        return _checked(ServerUrl(*urlparse(text if scheme else f"nats://{text}")), hint)
    except ValueError:
        raise _malformed(f"its host is invalid{hint}") from None


def _checked(url: ServerUrl, hint: str) -> ServerUrl:
    host = url.netloc.rpartition("@")[2]
    if is_ipv6(host) or is_ipv6(host.rpartition(":")[0]):
        raise _malformed(f"an IPv6 address is in brackets: nats://[::1]:4222{hint}")
    try:
        port = url.port
    except ValueError:
        port = 0
    if port == 0:
        raise _malformed(f"its port is not a number from 1 to 65535{hint}")
    if not url.hostname:
        raise _malformed(f"it has no host{hint}")
    if _HOST.fullmatch(host) is None or not _is_host(url.hostname):
        raise _malformed(f"its host is invalid{hint}")
    if url.scheme in _TCP and (url.path not in {"", "/"} or url.query or url.fragment):
        raise _malformed(f"it has a path, a query or a fragment{hint}")
    if url.netloc.count("@") > 1:  # programs differ in which one ends the password
        raise _malformed(f"it has more than one @{hint}")
    try:
        _ = url.username, url.password
    except UnicodeDecodeError:
        raise _malformed("its user or password is not UTF-8, percent-encoded") from None
    if port is None and url.scheme in _TCP:
        return url._replace(netloc=f"{url.netloc.removesuffix(':')}:{_PORT}")
    return url


def _is_host(name: str) -> bool:
    """Return whether the parts of a host name have a length that DNS allows."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def _malformed(reason: str) -> InvalidArgumentError:
    return connection_error(
        InvalidArgumentError, f"the URL of a NATS server is malformed: {reason}"
    )


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="strict")
