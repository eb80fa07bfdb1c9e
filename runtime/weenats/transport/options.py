"""How to connect to NATS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from weenats._internal.extras import check_installed
from weenats.errors import InvalidArgumentError
from weenats.protocol.deadline import Duration, seconds
from weenats.transport.credentials import is_secret

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to connect to NATS.

    These credentials are the connection's: NATS decides by them which subjects it may use. Who
    calls a service is told by the token in each message (`token=` and `with_token` of clients).

    Attributes:
        name: shown by NATS monitoring.
        user: with `password`.
        password: with `user`.
        auth_token: the token of the NATS connection, not of messages.
        credentials: a .creds file, read anew for each attempt to connect.
        nkey_seed: a file that holds an nkey seed, read anew as well.
        tls: a TLS context; servers that offer no TLS are refused.
        connect_timeout: how long the first connection may take, seconds or timedelta.
        reconnect_wait: the pause between attempts to reconnect, which never end.
        ping_interval: the pause between pings; a peer that misses two of them is dead.
        inbox_prefix: where replies go, for servers that restrict subjects.

    Raises:
        InvalidArgumentError: a duration is none, credentials contradict each other or stand where
            the path of their file belongs, or `tls` is no context.
        ImportError: `credentials` or `nkey_seed` without the extra `nkeys`.
    """

    name: str | None = None
    user: str | None = None
    password: str | None = None
    auth_token: str | None = None
    credentials: str | Path | None = None
    nkey_seed: str | Path | None = None
    tls: ssl.SSLContext | None = None
    connect_timeout: Duration = 5.0
    reconnect_wait: Duration = 0.5
    ping_interval: Duration = 15.0
    inbox_prefix: str = "_INBOX"

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "reconnect_wait", "ping_interval"):
            seconds(getattr(self, name), name)
        if (self.user is None) != (self.password is None):
            raise InvalidArgumentError("user and password belong together")
        signed = (self.credentials is not None) + (self.nkey_seed is not None)
        if signed + (self.user is not None) > 1 or (self.user and self.auth_token is not None):
            raise InvalidArgumentError(
                "a connection has one kind of credentials: user and password, auth_token, "
                "credentials or nkey_seed"
            )
        if signed:
            check_installed(
                "credentials and nkey_seed need the package nkeys: pip install 'weenats[nkeys]'",
                "nkeys",
            )
        for name in ("credentials", "nkey_seed"):
            path: str | Path | None = getattr(self, name)
            if path is not None and is_secret(path):  # errors would show it as the path
                raise InvalidArgumentError(f"{name} is the path of a file, not what it holds")
        tls = cast("object", self.tls)
        if tls is not None and not isinstance(tls, ssl.SSLContext):
            raise InvalidArgumentError(
                "tls is an SSLContext, such as ssl.create_default_context(cafile=...), "
                f"not {type(tls).__name__}"
            )

    def __repr__(self) -> str:
        return f"ConnectionOptions(name={self.name!r})"
