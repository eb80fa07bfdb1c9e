"""How to connect to NATS: servers, credentials, TLS and timeouts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from weenats._internal.extras import check_installed
from weenats._internal.validation import check_integer
from weenats.errors import InvalidArgumentError, connection_error
from weenats.protocol.subjects import SubjectError, check_inbox_prefix
from weenats.protocol.timeouts import Duration, seconds
from weenats.transport.credentials import is_secret
from weenats.transport.message_checks import DEFAULT_MAX_CONTROL_LINE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ConnectionOptions", "checked_options"]
_MIN_CONTROL_LINE: Final = 256
"""Servers would refuse the line CONNECT of a client below that."""
_TYPES: Final[tuple[tuple[type | tuple[type, ...], str, tuple[str, ...]], ...]] = (
    (str, "a text", ("name", "user", "password", "auth_token", "inbox_prefix")),
    ((str, Path), "the path of a file", ("credentials", "nkey_seed")),
    (bool, "True or False", ("tls_handshake_first",)),
)
"""The types of options whose values are not checked further, what they are, and their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionOptions:
    """How to connect to NATS.

    The credentials authenticate the connection: they decide which subjects NATS lets it use. The
    caller of a service is authenticated by the token in each message (`token=` and `with_token` of
    clients).

    Attributes:
        name: the name of the connection in the monitoring of NATS.
        user: the user; requires `password`.
        password: the password; requires `user`.
        auth_token: the token of the NATS connection, not of messages.
        credentials: the path of a .creds file, which is read for each attempt to connect.
        nkey_seed: the path of a file with an nkey seed, which is read for each attempt to connect.
        tls: a TLS context, or a function that returns the context for the next attempt to connect;
            servers without TLS are refused.
        tls_handshake_first: begin with the TLS handshake, for servers with `handshake_first`; the
            system's certificates are trusted if there is no `tls`.
        connect_timeout: the time limit of the first connection, and how long the server may take to
            confirm a subscription, in seconds or as timedelta.
        close_timeout: how long the server may take to receive the buffer when the connection is
            closed, and to confirm the end of a subscription, in seconds or as timedelta.
        reconnect_wait: the pause between attempts to reconnect, which are not limited in number.
        ping_interval: the pause between pings; a server that misses two of them is dead.
        inbox_prefix: the prefix of reply subjects, for servers that restrict subjects.
        max_control_line: the `max_control_line` of the servers in bytes, which they do not
            announce: a message or subscription whose subjects are longer is refused, as the servers
            would close the connection.
        max_payload: the maximum size of a message in bytes, if the account of the connection has a
            smaller one than the servers, which they do not announce.

    Example:
        ```python
        options = ConnectionOptions(
            name="billing",
            credentials="/run/secrets/billing.creds",
            tls=ssl.create_default_context(cafile="ca.pem"),
            connect_timeout=2,
        )
        ```

    Raises:
        InvalidArgumentError: an option has the wrong type, a duration is not positive, credentials
            contradict each other or are given in place of the path of their file, `inbox_prefix` is
            not a valid subject, `max_control_line` is not at least 256, `max_payload` is not
            positive, or `tls` is not a context.
        ImportError: `credentials` or `nkey_seed` is given without the extra `nkeys`.
    """

    name: str | None = None
    user: str | None = None
    password: str | None = None
    auth_token: str | None = None
    credentials: str | Path | None = None
    nkey_seed: str | Path | None = None
    tls: ssl.SSLContext | Callable[[], ssl.SSLContext] | None = None
    tls_handshake_first: bool = False
    connect_timeout: Duration = 5.0
    close_timeout: Duration = 5.0
    reconnect_wait: Duration = 0.5
    ping_interval: Duration = 15.0
    inbox_prefix: str = "_INBOX"
    max_control_line: int = DEFAULT_MAX_CONTROL_LINE
    max_payload: int | None = None

    def __post_init__(self) -> None:
        self._check_types()
        for name in ("connect_timeout", "close_timeout", "reconnect_wait", "ping_interval"):
            seconds(getattr(self, name), name)
        if (self.user is None) != (self.password is None):
            raise connection_error(InvalidArgumentError, "user and password must be given together")
        try:
            check_inbox_prefix(self.inbox_prefix)
        except SubjectError as error:
            raise connection_error(InvalidArgumentError, f"inbox_prefix: {error}") from None
        self._check_sizes()
        signed = (self.credentials is not None) + (self.nkey_seed is not None)
        if signed + (self.user is not None) > 1 or (self.user and self.auth_token is not None):
            raise connection_error(
                InvalidArgumentError,
                "a connection has one kind of credentials: user and password, auth_token, "
                "credentials or nkey_seed",
            )
        if signed:
            check_installed(
                "credentials and nkey_seed need the package nkeys: pip install 'weenats[nkeys]'",
                "nkeys",
            )
        for name in ("credentials", "nkey_seed"):
            path: str | Path | None = getattr(self, name)
            if path is not None and is_secret(path):  # it would be shown in errors
                raise connection_error(
                    InvalidArgumentError, f"{name} is the path of a file, not what it holds"
                )
        tls = cast("object", self.tls)
        if tls is not None and not isinstance(tls, ssl.SSLContext) and not callable(tls):
            raise connection_error(
                InvalidArgumentError,
                "tls is an SSLContext, such as ssl.create_default_context(cafile=...), or a"
                f" function that returns one, not {type(tls).__name__}",
            )

    def _check_sizes(self) -> None:
        try:
            check_integer("max_control_line", self.max_control_line, _MIN_CONTROL_LINE)
            if self.max_payload is not None:
                check_integer("max_payload", self.max_payload, 1)
        except ValueError as error:
            raise connection_error(InvalidArgumentError, str(error)) from None

    def _check_types(self) -> None:
        """Check the types of texts, paths and flags, without showing values that may be secret.

        nats-py would fail with them on each attempt, until the time to connect is over.

        Raises:
            InvalidArgumentError: one has the wrong type.
        """
        for kinds, expected, names in _TYPES:
            for name in names:
                value: object = getattr(self, name)
                if value is None and name != "inbox_prefix" and kinds is not bool:
                    continue
                if not isinstance(value, kinds):
                    raise connection_error(
                        InvalidArgumentError,
                        f"{name} is {expected}, not of the type {type(value).__name__}",
                    )

    def __repr__(self) -> str:
        return f"ConnectionOptions(name={self.name!r})"


def checked_options(options: ConnectionOptions) -> ConnectionOptions:
    """Check that options are ConnectionOptions; they are not shown, as they may have a password.

    Args:
        options: the options.

    Returns:
        The options.

    Raises:
        TypeError: they are something else.
    """
    if not isinstance(cast("object", options), ConnectionOptions):
        raise TypeError(
            f"the options of a connection must be ConnectionOptions, not {type(options).__name__}"
        )
    return options
