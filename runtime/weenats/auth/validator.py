"""Whoever can tell a caller by its token."""

from __future__ import annotations

from typing import Protocol

from weenats.errors import UnauthenticatedError
from weenats.principal import Principal  # noqa: TC001 - part of the protocol


class InvalidTokenError(UnauthenticatedError):
    """A token that proves nothing.

    Args:
        reason: why, for the log alone. It never holds a token, the value of a claim, or a key.
    """

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class TokenValidator(Protocol):
    """Tells who calls by the token of a message; `with_auth(validator=...)` takes any."""

    async def validate(self, token: str) -> Principal:
        """Return whom the token names.

        Raises:
            InvalidTokenError: it names nobody; the caller learns UNAUTHENTICATED, the log the
                reason.
            ServiceError: it cannot be judged; the caller learns the code and nothing else.
        """
        ...
