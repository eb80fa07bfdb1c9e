"""Errors of connecting."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

import nats.errors

from weenats._internal.text import printable
from weenats.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
    connection_error,
)
from weenats.transport.credentials import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.transport.servers import Server

__all__ = [
    "NOT_NATS",
    "HeadersMissingError",
    "NotNatsError",
    "TlsMissingError",
    "connect_error",
    "is_final",
    "permission_denied",
    "refuses_credentials",
    "text_of",
]


_INBOX_HINT: Final = (
    ", on which replies arrive: set inbox_prefix of ConnectionOptions, or WEENATS_INBOX_PREFIX, to"
    " the prefix that its user may subscribe to"
)
_REFUSALS: Final = (
    "authorization violation",
    "authentication expired",
    "authentication revoked",
)
"""What a server says of credentials that it does not accept, in lower case."""


NOT_NATS: Final = "not a NATS server, or not its port for clients, which is 4222 by default"


class NotNatsError(nats.errors.Error):
    """What listens at an address is not a NATS server, or not one for clients."""


class TlsMissingError(nats.errors.Error):
    """The server offers no TLS, or someone on the network path removed the offer."""


class HeadersMissingError(nats.errors.Error):
    """The server does not carry headers, and would end the connection at the first one."""


def refuses_credentials(error: Exception) -> bool:
    """Return whether a server refused the credentials of a connection.

    Args:
        error: the error of the connection.
    """
    text = str(error).lower()
    return any(each in text for each in _REFUSALS)


def is_final(error: Exception) -> bool:
    """Return whether further attempts fail until the configuration is changed.

    Args:
        error: the error of an attempt to connect.
    """
    if isinstance(error, ssl.SSLError):
        reason: object = getattr(error, "reason", None)  # those that OpenSSL did not raise lack it
        return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in str(reason)
    kinds = CredentialsError | HeadersMissingError | TlsMissingError | NotNatsError
    return isinstance(error, kinds) or refuses_credentials(error)


def permission_denied(what: str, subject: str, *, of_inbox: bool = False) -> PermissionDeniedError:
    """Return the error for a subject that the server denies.

    Args:
        what: "publish" or "subscription".
        subject: the subject.
        of_inbox: whether replies arrive on it.
    """
    text = f"the NATS server does not let this connection use {subject} ({what})"
    return connection_error(PermissionDeniedError, f"{text}{_INBOX_HINT if of_inbox else ''}")


def text_of(error: Exception) -> str:
    """Return what an exception says, without the prefix of nats-py; if nothing, its class.

    Args:
        error: the exception.
    """
    return printable(str(error).removeprefix("nats: ")) or type(error).__name__


def connect_error(servers: Sequence[Server], failures: Sequence[Exception]) -> ServiceError:
    """Return the error that is raised when no server accepted the connection.

    Args:
        servers: the servers.
        failures: the errors of the attempts.
    """
    where = ", ".join(map(str, servers))
    if failures and isinstance(failures[-1], CredentialsError):
        return connection_error(
            InvalidArgumentError, f"no credentials for NATS at {where}: {failures[-1]}"
        )
    reason = text_of(failures[-1]) if failures else "no answer"
    if failures and refuses_credentials(failures[-1]):
        return connection_error(
            PermissionDeniedError, f"NATS at {where} refused the credentials of the connection"
        )
    return connection_error(UnavailableError, f"no connection to NATS at {where}: {reason}")
