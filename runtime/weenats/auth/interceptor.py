"""The interceptor that authenticates and authorizes callers.

A caller that is refused gets a code and, when a scope is missing, its name. The log has the reason,
without tokens, claims and keys.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from weenats._internal.limited_log import LimitedLogger
from weenats._internal.tasks import ends_task
from weenats.auth.jwt_validator import JwtValidator
from weenats.auth.validator import InvalidTokenError
from weenats.codec.failures import code_of
from weenats.errors import (
    CLASS_OF_CODE,
    Code,
    InternalError,
    PermissionDeniedError,
    ServiceError,
    UnauthenticatedError,
)
from weenats.principal import Principal
from weenats.telemetry.semconv import (
    AUTH_METHOD,
    AUTH_PRINCIPAL,
    AUTH_STATUS,
    AUTHENTICATION_FAILED,
    AUTHORIZATION_FAILED,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from weenats.auth.validator import TokenValidator
    from weenats.context import RequestContext, Response
    from weenats.interceptors import CallNext

__all__ = ["AuthInterceptor"]
_LOG: Final = LimitedLogger("weenats.auth")


class AuthInterceptor:
    """Sets `context.principal` to the authenticated caller, or refuses the call.

    Args:
        validator: validates tokens.
        required: whether calls need a token, where the contract does not say.
    """

    def __init__(self, validator: TokenValidator, *, required: bool = True) -> None:
        self._validator = validator
        self._required = required
        self._recall: Callable[[str], Principal | None] = lambda _: None
        if isinstance(validator, JwtValidator) and _has_own_validate(validator):
            self._recall = validator.recall

    def __call__(self, context: RequestContext, call_next: CallNext, /) -> Awaitable[Response]:
        """Authenticate and authorize the caller.

        Raises:
            UnauthenticatedError: a token is required and missing, or it is not valid.
            PermissionDeniedError: the token does not grant a scope that the operation requires.
        """
        token = context.token
        principal = None if token is None else self._recall(token)
        if principal is None:
            return self._authenticate(context, call_next)
        # Most tokens were validated before: these calls need no coroutine of this interceptor.
        context.principal = principal
        if context.recorder is not None:
            context.recorder(_attributes(context))
        if context.operation.auth is not None:
            _authorize(principal, context)
        return call_next(context)

    async def _authenticate(self, context: RequestContext, call_next: CallNext) -> Response:
        try:
            if context.token is None:
                self._check_anonymous(context)
            else:
                context.principal = await self._validate(context.token, context)
        finally:
            context.note_feature(_attributes(context))
        if context.principal is not None:
            _authorize(context.principal, context)
        return await call_next(context)

    async def _validate(self, token: str, context: RequestContext) -> Principal:
        refusal: type[ServiceError] = InternalError
        reason = "the validator returned no Principal"
        principal: Principal | None = None
        task = asyncio.current_task()
        try:
            principal = await self._validator.validate(token)
        except ServiceError as error:
            refusal = CLASS_OF_CODE[code_of(error) or Code.INTERNAL]
            reason = _reason(error)
        except BaseException as error:  # a validator that fails must not admit anyone
            if ends_task(error, task):
                raise
            reason = f"the validator failed with {type(error).__name__}"
        if isinstance(principal, Principal):
            return principal
        # Raised here: the validator's exception, which may show the token, must not be its context.
        subject = context.operation.subject
        _LOG.warning("%s refused a caller: %s", subject, reason, kind=reason)
        context.add_event(AUTHENTICATION_FAILED)
        raise refusal

    def _check_anonymous(self, context: RequestContext) -> None:
        auth = context.operation.auth
        if self._required if auth is None else auth.required:
            _LOG.warning("%s refused a caller: no token", context.operation.subject)
            context.add_event(AUTHENTICATION_FAILED)
            raise UnauthenticatedError


def _reason(error: ServiceError) -> str:
    """Return the reason of a validator if it gave one, else the class of its exception."""
    reason: object = None
    if isinstance(error, InvalidTokenError):
        reason = getattr(error, "reason", None)
    return reason if isinstance(reason, str) else type(error).__name__


def _authorize(principal: Principal, context: RequestContext) -> None:
    auth = context.operation.auth
    if auth is not None and not principal.scopes.issuperset(auth.scopes):
        missing = " ".join(scope for scope in auth.scopes if scope not in principal.scopes)
        reason = f"the scope {missing} is missing"
        subject = context.operation.subject
        _LOG.warning("%s refused a caller: %s", subject, reason, kind=reason)
        context.add_event(AUTHORIZATION_FAILED)
        raise PermissionDeniedError(f"the token does not grant the scope {missing}")


def _attributes(context: RequestContext) -> Mapping[str, str]:
    """Return the span attributes of a request whose caller was authenticated, or was not."""
    principal = context.principal
    if principal is not None:
        return {AUTH_STATUS: "success", AUTH_PRINCIPAL: principal.id, AUTH_METHOD: "jwt"}
    if context.token is not None:
        return {AUTH_STATUS: "failure", AUTH_METHOD: "jwt"}
    return {AUTH_STATUS: "token_not_provided"}


def _has_own_validate(validator: JwtValidator) -> bool:
    """Whether `validate` is not overridden: a subclass that checks more must see every token."""
    return getattr(validator.validate, "__func__", None) is JwtValidator.validate
