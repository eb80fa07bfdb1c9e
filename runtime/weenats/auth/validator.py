"""The protocol of token validators, and the error that they raise."""

from __future__ import annotations

from typing import Protocol

from weenats.errors import UnauthenticatedError
from weenats.principal import Principal  # noqa: TC001 - part of the protocol

__all__ = ["InvalidTokenError", "TokenValidator"]


class InvalidTokenError(UnauthenticatedError):
    """A token that is not valid. The caller receives UNAUTHENTICATED without the reason.

    Args:
        reason: why the token is not valid, for the log. It must not contain the token, values of
            claims, or keys.
    """

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class TokenValidator(Protocol):
    """Validates the tokens of requests; pass one to `with_auth(validator=...)`."""

    async def validate(self, token: str) -> Principal:
        """Validate a token and return its principal.

        Args:
            token: the token of a request.

        Raises:
            InvalidTokenError: the token is not valid. The caller receives UNAUTHENTICATED, and
                the reason is logged.
            ServiceError: the token cannot be validated now. The caller receives the code only.
        """
        ...
