"""Lets in those callers who prove who they are.

A caller that is not let in learns a code and, when it lacks a scope, the scope. The log says why,
without tokens, claims and keys.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.validator import InvalidTokenError
from weenats.errors import (
    CLASS_OF_CODE,
    InternalError,
    PermissionDeniedError,
    ServiceError,
    UnauthenticatedError,
)
from weenats.principal import Principal
from weenats.telemetry.semconv import AUTHENTICATION_FAILED, AUTHORIZATION_FAILED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from weenats.auth.validator import TokenValidator
    from weenats.context import RequestContext, Response
    from weenats.interceptors import CallNext

_LOG: Final = logging.getLogger("weenats.auth")


class AuthInterceptor:
    """Puts who calls into `context.principal`, or refuses.

    Args:
        validator: tells who calls by the token.
        required: whether a token must come, where the contract does not say.
    """

    def __init__(self, validator: TokenValidator, *, required: bool = True) -> None:
        self._validator = validator
        self._required = required
        self._recall: Callable[[str], Principal | None] = _recall_nobody
        if isinstance(validator, JwtValidator) and _is_plain(validator):
            self._recall = validator.recall

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Authenticate and authorize the caller.

        Raises:
            UnauthenticatedError: a token is missing and required, or proves nothing.
            PermissionDeniedError: the token does not grant a scope that the operation demands.
        """
        token = context.token
        principal = None if token is None else self._recall(token)
        if principal is None:
            return self._ask(context, call_next)
        # Most tokens were verified a moment ago: no coroutine of our own stands around these calls.
        context.principal = principal
        if context.operation.auth is not None:
            _authorize(principal, context)
        return call_next(context)

    async def _ask(self, context: RequestContext, call_next: CallNext) -> Response:
        if context.token is None:
            self._check_anonymous(context)
        else:
            context.principal = await self._judge(context.token, context)
            _authorize(context.principal, context)
        return await call_next(context)

    async def _judge(self, token: str, context: RequestContext) -> Principal:
        refusal: type[ServiceError] = InternalError
        why = "the validator returned no Principal"
        principal: Principal | None = None
        try:
            principal = await self._validator.validate(token)
        except ServiceError as error:
            refusal = CLASS_OF_CODE[error.code.value]
            why = error.reason if isinstance(error, InvalidTokenError) else type(error).__name__
        except Exception as error:  # noqa: BLE001 - whatever a validator raises lets nobody in
            why = f"the validator failed with {type(error).__name__}"
        if isinstance(principal, Principal):
            return principal
        # Raised here, so that what the validator raised, which may show the token, stays here.
        _LOG.warning("%s refused a caller: %s", context.operation.subject, why)
        context.add_event(AUTHENTICATION_FAILED)
        raise refusal

    def _check_anonymous(self, context: RequestContext) -> None:
        auth = context.operation.auth
        if self._required if auth is None else auth.required:
            _LOG.warning("%s refused a caller: no token", context.operation.subject)
            context.add_event(AUTHENTICATION_FAILED)
            raise UnauthenticatedError


def _authorize(principal: Principal, context: RequestContext) -> None:
    auth = context.operation.auth
    if auth is not None and not principal.scopes.issuperset(auth.scopes):
        missing = " ".join(scope for scope in auth.scopes if scope not in principal.scopes)
        _LOG.warning(
            "%s refused a caller: it lacks the scope %s", context.operation.subject, missing
        )
        context.add_event(AUTHORIZATION_FAILED)
        raise PermissionDeniedError(f"the token does not grant the scope {missing}")


def _is_plain(validator: JwtValidator) -> bool:
    """Say whether `validate` is ours: one that asks more of tokens must see each of them."""
    return getattr(validator.validate, "__func__", None) is JwtValidator.validate


def _recall_nobody(_: str) -> None:
    return None
