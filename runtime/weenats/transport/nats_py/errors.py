"""What keeps from connecting, and what of it lasts."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING

import nats.errors

from weenats.errors import (
    InvalidArgumentError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
)
from weenats.transport.credentials import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Sequence


class TlsMissingError(nats.errors.Error):
    """The server does not speak TLS, or somebody on the way says so."""


def refuses_credentials(error: Exception) -> bool:
    """Say whether a server refused the credentials of a connection."""
    return "authorization violation" in str(error).lower()


def is_final(error: Exception) -> bool:
    """Say whether asking again helps only after somebody has changed something."""
    if isinstance(error, ssl.SSLError):
        return isinstance(error, ssl.SSLCertVerificationError) or "ALERT" in (error.reason or "")
    return isinstance(error, CredentialsError | TlsMissingError) or refuses_credentials(error)


def shown(servers: Sequence[str]) -> str:
    """Return the servers as text, without the credentials that URLs may hold."""
    return ", ".join(re.sub(r"^(\w+://)?.*@", r"\1", server) for server in servers)


def connect_error(servers: Sequence[str], failures: Sequence[Exception]) -> ServiceError:
    """Return what a caller is told when no server took the connection."""
    where = shown(servers)
    if failures and isinstance(failures[-1], CredentialsError):
        return InvalidArgumentError(f"no credentials for NATS at {where}: {failures[-1]}")
    reason = str(failures[-1]) if failures else "no answer"
    if failures and refuses_credentials(failures[-1]):
        return PermissionDeniedError(f"NATS at {where} refused the credentials of the connection")
    return UnavailableError(f"no connection to NATS at {where}: {reason}")
