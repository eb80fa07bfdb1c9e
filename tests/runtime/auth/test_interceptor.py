"""The authentication interceptor: who is accepted, what errors say, and what is logged."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from testkit.contexts import Refusing, make_context
from testkit.probe import RUN, MissingDetails, OddError, PartMissingError
from testkit.tokens import AUDIENCE, NOW, FakeValidator, good_claims, private_key, signed, token
from weenats import AuthRequirement, Principal, RequestContext, Response
from weenats.auth import AuthInterceptor, InvalidTokenError
from weenats.errors import (
    InternalError,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    ServiceError,
    UnauthenticatedError,
    UnavailableError,
)
from weenats.interceptors import chain


class StubValidator:
    """A validator that returns or raises a given result."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def validate(self, token: str) -> Principal:
        """Return or raise the fixed result."""
        if isinstance(self._answer, BaseException):
            raise self._answer
        answer: Principal = self._answer
        return answer


def request(text: str | None = None, auth: AuthRequirement | None = None) -> RequestContext:
    """Return a request with this token and this requirement of its operation."""
    return make_context(side="server", operation=replace(RUN, auth=auth), token=text)


async def return_principal(context: RequestContext) -> Response:
    """Return the principal of the context as the result."""
    return Response(context.principal)


async def refused(call: Awaitable[Any], error: type[ServiceError] = UnauthenticatedError) -> str:
    """Return the message of the error; it has no details and no cause."""
    with pytest.raises(ServiceError) as raised:
        await call
    assert type(raised.value) is error
    assert raised.value.details is None
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value.message


TOLD = "The caller is not authenticated."


async def test_valid_token_sets_the_principal() -> None:
    """Later interceptors and the handler find the principal in the context."""
    seen: list[Principal | None] = []

    async def audit(
        context: RequestContext, call_next: Callable[[RequestContext], Awaitable[Response]], /
    ) -> Response:
        seen.append(context.principal)
        return await call_next(context)

    call = chain([audit, AuthInterceptor(FakeValidator()), audit], return_principal)
    principal = (await call(request(token()))).result
    assert isinstance(principal, Principal)
    assert principal.id == "ada"
    assert seen == [None, principal]


@pytest.mark.parametrize(
    ("required", "auth", "let_in"),
    [
        (True, None, False),
        (False, None, True),
        (True, AuthRequirement(required=False), True),
        (False, AuthRequirement(required=True), False),
        (False, AuthRequirement(scopes=("receipts:read",)), False),
        (True, AuthRequirement(required=True), False),
        (False, AuthRequirement(required=False), True),
    ],
)
async def test_contract_overrides_whether_a_token_is_required(
    required: bool,
    auth: AuthRequirement | None,
    let_in: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without a token the contract decides, or the service if the contract says nothing."""
    interceptor = AuthInterceptor(FakeValidator(), required=required)
    if let_in:
        assert (await interceptor(request(auth=auth), return_principal)).result is None
        assert not caplog.records
    else:
        assert await refused(interceptor(request(auth=auth), return_principal)) == TOLD
        assert caplog.messages == [f"{RUN.subject} refused a caller: no token"]


@pytest.mark.parametrize("auth", [None, AuthRequirement(required=False), AuthRequirement()])
@pytest.mark.parametrize("required", [True, False])
async def test_invalid_token_is_rejected_even_if_optional(
    auth: AuthRequirement | None,
    required: bool,
) -> None:
    """An invalid token is rejected even where a missing token is accepted."""
    interceptor = AuthInterceptor(FakeValidator(), required=required)
    for text in ("x", token(good_claims(exp=NOW - 600)), token(good_claims(aud="billing"))):
        assert await refused(interceptor(request(text, auth), return_principal)) == TOLD


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        ("receipts:write receipts:read", None),
        ("receipts:write receipts:read admin", None),
        ("receipts:write", "receipts:read"),
        ("", "receipts:write receipts:read"),
        ("receipts:writer receipts", "receipts:write receipts:read"),
        ("Receipts:Write receipts:read", "receipts:write"),
        ("receipts:*", "receipts:write receipts:read"),
        ("receipts:write,receipts:read", "receipts:write receipts:read"),
    ],
)
async def test_all_required_scopes_must_be_granted(
    granted: str, missing: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the missing scopes; scopes are compared whole and case-sensitively."""
    auth = AuthRequirement(scopes=("receipts:write", "receipts:read"))
    call = AuthInterceptor(FakeValidator())(
        request(token(good_claims(scope=granted)), auth), return_principal
    )
    if missing is None:
        assert isinstance((await call).result, Principal)
    else:
        assert await refused(call, PermissionDeniedError) == (
            f"the token does not grant the scope {missing}"
        )
        assert caplog.messages == [
            f"{RUN.subject} refused a caller: the scope {missing} is missing"
        ]


async def test_scopes_are_read_from_scp() -> None:
    """Both claims, `scope` and `scp`, grant scopes."""
    auth = AuthRequirement(scopes=("receipts:write",))
    text = token(good_claims(scope=None, scp=["receipts:write"]))
    assert (
        await AuthInterceptor(FakeValidator())(request(text, auth), return_principal)
    ).result is not None


async def test_authentication_precedes_payload_validation() -> None:
    """An unauthenticated caller gets the same error for valid and invalid payloads."""
    interceptor = AuthInterceptor(FakeValidator())
    told: set[str] = set()
    for error in (None, InvalidArgumentError("price must be a number")):
        for text in (None, "x", token(good_claims(exp=NOW - 600))):
            context = request(text)
            if error is not None:
                context = context.replace(received=Refusing(error))
            told.add(await refused(interceptor(context, return_principal)))
    assert told == {TOLD}


@pytest.mark.parametrize(
    "text",
    [
        "tok3n-s3cret",
        "Bearer tok3n-s3cret",
        "a.s3cret.b",
        token(good_claims(sub="s3cret\n")),
        token(good_claims(aud="s3cret")),
        token(good_claims(iss="s3cret")),
        token(good_claims(exp="s3cret")),
        token(good_claims(scope={"s3cret": 1})),
        token(good_claims(jti=["s3cret"])),
        token(kid="s3cret" * 50),
        token(typ="s3cret"),
        token(crit=["s3cret"]),
        signed({"alg": "s3cret"}, good_claims()),
        signed({"alg": "EdDSA"}, b'{"s3cret'),
        signed({"alg": "EdDSA"}, good_claims(sub="s3cret"), private_key("EdDSA", 666)),
        signed({"alg": "EdDSA"}, good_claims(sub="s3cret", exp=NOW - 600)),
    ],
)
async def test_log_has_the_reason_without_the_token(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the reason; no log, error, traceback or repr has token, claims or key."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnauthenticatedError) as raised:
        await AuthInterceptor(FakeValidator())(request(text), return_principal)
    assert len(caplog.records) == 1
    record = caplog.records[0]
    assert (record.name, record.levelno, record.exc_info) == (
        "weenats.auth",
        logging.WARNING,
        None,
    )
    reason = record.getMessage().removeprefix(f"{RUN.subject} refused a caller: ")
    assert reason
    shown = [
        record.getMessage(),
        str(raised.value),
        repr(raised.value),
        "".join(traceback.format_exception(raised.value)),
    ]
    for part in ("s3cret", AUDIENCE, "ada", *(part for part in text.split(".") if len(part) > 5)):
        assert not any(part in line for line in shown)


async def test_refusals_for_one_reason_do_not_hide_those_for_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A caller that floods a service with expired tokens hides no forged one from the log."""
    for reason in ["too old"] * 20 + ["forged"]:
        validator = StubValidator(InvalidTokenError(reason))
        await refused(AuthInterceptor(validator)(request("x"), return_principal))
    assert caplog.messages[-1] == f"{RUN.subject} refused a caller: forged"
    assert len(caplog.messages) < 20


async def test_refusals_for_one_scope_do_not_hide_those_for_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The same for callers whose tokens lack scopes."""
    for granted in [""] * 20 + ["read"]:
        caller = Principal(id="ada", scopes=frozenset(granted.split()))
        call = request("x", AuthRequirement(scopes=("read", "write")))
        interceptor = AuthInterceptor(StubValidator(caller))
        await refused(interceptor(call, return_principal), PermissionDeniedError)
    assert caplog.messages[-1] == f"{RUN.subject} refused a caller: the scope write is missing"
    assert len(caplog.messages) < 20


class BareTokenError(InvalidTokenError):
    """An error without a reason, as it does not call the initializer of its base class."""

    def __init__(self) -> None:
        """Do nothing."""


ERRORS: list[tuple[BaseException, type[ServiceError], str]] = [
    (InvalidTokenError("too old"), UnauthenticatedError, "too old"),
    (InvalidTokenError(["s3cret"]), UnauthenticatedError, "InvalidTokenError"),  # type: ignore[arg-type]
    (BareTokenError(), UnauthenticatedError, "BareTokenError"),
    (UnauthenticatedError("s3cret"), UnauthenticatedError, "UnauthenticatedError"),
    (PermissionDeniedError("s3cret"), PermissionDeniedError, "PermissionDeniedError"),
    (UnavailableError("s3cret"), UnavailableError, "UnavailableError"),
    (
        ResourceExhaustedError("s3cret", details={"token": "s3cret"}),
        ResourceExhaustedError,
        "ResourceExhaustedError",
    ),
    (
        PartMissingError(details=MissingDetails(part="s3cret")),
        PartMissingError.__mro__[1],
        "PartMissingError",
    ),
    (OddError("s3cret"), InternalError, "OddError"),
    (ValueError("s3cret"), InternalError, "the validator failed with ValueError"),
    (KeyError("s3cret"), InternalError, "the validator failed with KeyError"),
    (TimeoutError("s3cret"), InternalError, "the validator failed with TimeoutError"),
    (RecursionError("s3cret"), InternalError, "the validator failed with RecursionError"),
    (BaseException("s3cret"), InternalError, "the validator failed with BaseException"),
    (asyncio.CancelledError(), InternalError, "the validator failed with CancelledError"),
]


@pytest.mark.parametrize(("error", "told", "why"), ERRORS)
async def test_validator_errors_reject_the_caller(
    error: BaseException, told: type[ServiceError], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a code and its description only; the log has the reason or the class."""
    message = await refused(
        AuthInterceptor(StubValidator(error))(request("x"), return_principal), told
    )
    assert message == told.description
    assert caplog.messages == [f"{RUN.subject} refused a caller: {why}"]


@pytest.mark.parametrize("answer", [None, True, "ada", {"id": "ada"}, object()])
async def test_validator_without_a_principal_is_an_internal_error(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A validator that returns something other than a Principal is a defect."""
    await refused(
        AuthInterceptor(StubValidator(answer), required=False)(request("x"), return_principal),
        InternalError,
    )
    assert caplog.messages == [
        f"{RUN.subject} refused a caller: the validator returned no Principal"
    ]


async def test_cancellation_of_the_validator_propagates() -> None:
    """A request that is cancelled meanwhile ends as cancelled, and the handler is not called."""

    class Waiting(StubValidator):
        async def validate(self, token: str) -> Any:
            await asyncio.Event().wait()

    work: Any = AuthInterceptor(Waiting(None))(request("x"), return_principal)
    validating = asyncio.create_task(work)
    await asyncio.sleep(0)
    validating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await validating


async def test_custom_validator_is_supported() -> None:
    """A validator needs only validate(); its Principal is used, scopes included."""
    ada = Principal(id="ada", scopes=frozenset({"receipts:write"}))
    auth = AuthRequirement(scopes=("receipts:write",))
    call = AuthInterceptor(StubValidator(ada))(request("opaque token", auth), return_principal)
    assert (await call).result is ada


async def test_overridden_validate_is_called_for_cached_tokens() -> None:
    """A subclass that checks more, such as revocation, is called on each request."""

    class Revoking(FakeValidator):
        revoked = False

        async def validate(self, token: str) -> Principal:
            if self.revoked:
                raise InvalidTokenError("revoked")
            return await super().validate(token)

    judge, text = Revoking(), token()
    interceptor = AuthInterceptor(judge)
    assert (await interceptor(request(text), return_principal)).result is not None
    judge.revoked = True
    assert judge.remembered == 1
    assert await refused(interceptor(request(text), return_principal)) == TOLD


async def test_cached_token_is_rejected_once_it_expires() -> None:
    """A cached token that expires between two calls is rejected."""
    judge, text = FakeValidator(leeway=0), token()
    interceptor = AuthInterceptor(judge)
    first = (await interceptor(request(text), return_principal)).result
    assert (await interceptor(request(text), return_principal)).result is first
    judge.time.now = NOW + 600
    assert await refused(interceptor(request(text), return_principal)) == TOLD


async def test_cached_token_adds_no_coroutine() -> None:
    """For a cached token the interceptor returns the next awaitable itself."""
    interceptor, text = AuthInterceptor(FakeValidator()), token()
    await interceptor(request(text), return_principal)
    returned = return_principal(request())
    assert interceptor(request(text), lambda _: returned) is returned
    await returned


async def test_token_outside_the_token_field_is_ignored() -> None:
    """Tokens in headers, the shared context or the payload do not authenticate."""
    context = request()
    context.headers = {"Authorization": f"Bearer {token()}", "token": token()}
    context.metadata_context = {"authentication": {"type": "jwt", "token": token()}}
    assert await refused(AuthInterceptor(FakeValidator())(context, return_principal)) == TOLD


class Span:
    """A span that records the names of its events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def is_recording(self) -> bool:
        """Return True."""
        return True

    def add_event(self, name: str, _: Any) -> None:
        """Record the name."""
        self.events.append(name)


@pytest.mark.parametrize(
    ("text", "auth", "event"),
    [
        (token(), None, None),
        (None, None, "authentication.failed"),
        ("x", None, "authentication.failed"),
        (token(), AuthRequirement(scopes=("admin",)), "authorization.failed"),
    ],
)
async def test_rejection_adds_a_span_event(
    text: str | None, auth: AuthRequirement | None, event: str | None
) -> None:
    """The event is authentication.failed or authorization.failed, for cached tokens too."""
    interceptor = AuthInterceptor(FakeValidator())
    for _ in range(2):
        context, span = request(text, auth), Span()
        context.span = span  # type: ignore[assignment]
        if event is None:
            await interceptor(context, return_principal)
        else:
            with pytest.raises(ServiceError):
                await interceptor(context, return_principal)
        assert span.events == ([] if event is None else [event])


async def test_scopes_of_cached_tokens_are_checked_per_operation() -> None:
    """A token accepted for one operation can still lack the scopes of another."""
    interceptor, text = AuthInterceptor(FakeValidator()), token()
    assert (await interceptor(request(text), return_principal)).result is not None
    call = interceptor(request(text, AuthRequirement(scopes=("receipts:read",))), return_principal)
    assert (await call).result is not None
    with pytest.raises(PermissionDeniedError):
        await interceptor(request(text, AuthRequirement(scopes=("admin",))), return_principal)


async def test_handler_errors_pass_through() -> None:
    """An error of the handler is not reported as an error of the token."""

    async def fail(context: RequestContext) -> Response:
        raise ValueError(context.key)

    with pytest.raises(ValueError, match="k-1"):
        await AuthInterceptor(FakeValidator())(request(token()), fail)
