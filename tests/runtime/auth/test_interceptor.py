"""Which requests the interceptor admits, what refused callers receive, and what is logged."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from testkit.contexts import make_context
from testkit.probe import RUN, MissingDetails, PartMissingError
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


class Fixed:
    """A validator with a fixed result."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def validate(self, token: str) -> Principal:
        """Return or raise the fixed result."""
        if isinstance(self._answer, BaseException):
            raise self._answer
        answer: Principal = self._answer
        return answer


def request(text: str | None = None, auth: AuthRequirement | None = None) -> RequestContext:
    """Return a request on the server side, with a token and the requirements of its operation."""
    return make_context(side="server", operation=replace(RUN, auth=auth), token=text)


async def passed(context: RequestContext) -> Response:
    """Respond with the principal."""
    return Response(context.principal)


async def refused(call: Awaitable[Any], error: type[ServiceError] = UnauthenticatedError) -> str:
    """Return the error of the caller; it has no reason, cause or context."""
    with pytest.raises(ServiceError) as raised:
        await call
    assert type(raised.value) is error
    assert raised.value.details is None
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value.message


TOLD = "The caller is not authenticated."


async def test_a_good_token_is_let_in() -> None:
    """Later interceptors and the handler read the principal from the context."""
    seen: list[Principal | None] = []

    async def audit(
        context: RequestContext, call_next: Callable[[RequestContext], Awaitable[Response]], /
    ) -> Response:
        seen.append(context.principal)
        return await call_next(context)

    call = chain([audit, AuthInterceptor(FakeValidator()), audit], passed)
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
async def test_the_contract_says_who_needs_no_token(
    required: bool,
    auth: AuthRequirement | None,
    let_in: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The contract decides whether a token is required, else the service."""
    interceptor = AuthInterceptor(FakeValidator(), required=required)
    if let_in:
        assert (await interceptor(request(auth=auth), passed)).result is None
        assert not caplog.records
    else:
        assert await refused(interceptor(request(auth=auth), passed)) == TOLD
        assert caplog.messages == [f"{RUN.subject} refused a caller: no token"]


@pytest.mark.parametrize("auth", [None, AuthRequirement(required=False), AuthRequirement()])
@pytest.mark.parametrize("required", [True, False])
async def test_a_bad_token_is_refused_where_none_is_needed(
    auth: AuthRequirement | None,
    required: bool,
) -> None:
    """A token that is sent must be valid even if none is required."""
    interceptor = AuthInterceptor(FakeValidator(), required=required)
    for text in ("x", token(good_claims(exp=NOW - 600)), token(good_claims(aud="billing"))):
        assert await refused(interceptor(request(text, auth), passed)) == TOLD


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
async def test_every_scope_is_needed(
    granted: str, missing: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names the missing scopes; scopes are compared exactly."""
    auth = AuthRequirement(scopes=("receipts:write", "receipts:read"))
    call = AuthInterceptor(FakeValidator())(
        request(token(good_claims(scope=granted)), auth), passed
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


async def test_scopes_may_stand_in_scp() -> None:
    """Both `scope` and `scp` grant scopes."""
    auth = AuthRequirement(scopes=("receipts:write",))
    text = token(good_claims(scope=None, scp=["receipts:write"]))
    assert (await AuthInterceptor(FakeValidator())(request(text, auth), passed)).result is not None


async def test_the_payload_is_not_judged_before_the_caller() -> None:
    """A refused caller does not learn whether its payload is valid."""
    interceptor = AuthInterceptor(FakeValidator())
    told: set[str] = set()
    for error in (None, InvalidArgumentError("price must be a number")):
        for text in (None, "x", token(good_claims(exp=NOW - 600))):
            context = request(text)
            context.payload_error = error
            told.add(await refused(interceptor(context, passed)))
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
async def test_the_log_says_why_without_the_token(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the reason; no log, error or repr shows token, claims or key."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnauthenticatedError) as raised:
        await AuthInterceptor(FakeValidator())(request(text), passed)
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


ERRORS: list[tuple[BaseException, type[ServiceError], str]] = [
    (InvalidTokenError("too old"), UnauthenticatedError, "too old"),
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
    (ValueError("s3cret"), InternalError, "the validator failed with ValueError"),
    (KeyError("s3cret"), InternalError, "the validator failed with KeyError"),
    (TimeoutError("s3cret"), InternalError, "the validator failed with TimeoutError"),
    (RecursionError("s3cret"), InternalError, "the validator failed with RecursionError"),
]


@pytest.mark.parametrize(("error", "told", "why"), ERRORS)
async def test_whatever_a_validator_raises_lets_nobody_in(
    error: BaseException, told: type[ServiceError], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Any exception of a validator refuses the call; the log has the reason or its class."""
    message = await refused(AuthInterceptor(Fixed(error))(request("x"), passed), told)
    assert message == told.description
    assert caplog.messages == [f"{RUN.subject} refused a caller: {why}"]


@pytest.mark.parametrize("answer", [None, True, "ada", {"id": "ada"}, object()])
async def test_a_validator_that_names_nobody_lets_nobody_in(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A validator that returns no Principal fails the call with INTERNAL."""
    await refused(
        AuthInterceptor(Fixed(answer), required=False)(request("x"), passed), InternalError
    )
    assert caplog.messages == [
        f"{RUN.subject} refused a caller: the validator returned no Principal"
    ]


async def test_a_validator_that_is_cancelled_stays_cancelled() -> None:
    """Cancellation passes through and does not admit the caller."""
    with pytest.raises(asyncio.CancelledError):
        await AuthInterceptor(Fixed(asyncio.CancelledError()))(request("x"), passed)


async def test_any_validator_will_do() -> None:
    """A validator needs one method, and the principal that it returns is used."""
    ada = Principal(id="ada", scopes=frozenset({"receipts:write"}))
    auth = AuthRequirement(scopes=("receipts:write",))
    call = AuthInterceptor(Fixed(ada))(request("opaque token", auth), passed)
    assert (await call).result is ada


async def test_a_validator_that_looks_at_each_token_is_always_asked() -> None:
    """A subclass with its own `validate` is called for every token, cached or not."""

    class Revoking(FakeValidator):
        revoked = False

        async def validate(self, token: str) -> Principal:
            if self.revoked:
                raise InvalidTokenError("revoked")
            return await super().validate(token)

    judge, text = Revoking(), token()
    interceptor = AuthInterceptor(judge)
    assert (await interceptor(request(text), passed)).result is not None
    judge.revoked = True
    assert judge.remembered == 1
    assert await refused(interceptor(request(text), passed)) == TOLD


async def test_a_remembered_token_is_judged_at_each_call() -> None:
    """A cached token that expires between two calls is refused."""
    judge, text = FakeValidator(leeway=0), token()
    interceptor = AuthInterceptor(judge)
    first = (await interceptor(request(text), passed)).result
    assert (await interceptor(request(text), passed)).result is first
    judge.time.now = NOW + 600
    assert await refused(interceptor(request(text), passed)) == TOLD


async def test_nothing_stands_around_the_call_of_a_remembered_token() -> None:
    """For a cached token, the next step is called directly."""
    interceptor, text = AuthInterceptor(FakeValidator()), token()
    await interceptor(request(text), passed)
    returned = passed(request())
    assert interceptor(request(text), lambda _: returned) is returned
    await returned


async def test_a_token_in_another_place_is_none() -> None:
    """Tokens in headers, context or payload are not used."""
    context = request()
    context.headers = {"Authorization": f"Bearer {token()}", "token": token()}
    context.metadata_context = {"authentication": {"type": "jwt", "token": token()}}
    assert await refused(AuthInterceptor(FakeValidator())(context, passed)) == TOLD


class Span:
    """A span that records the names of its events."""

    def __init__(self) -> None:
        self.events: list[str] = []

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
async def test_a_refusal_is_told_on_the_span(
    text: str | None, auth: AuthRequirement | None, event: str | None
) -> None:
    """The span has one event that names the kind of refusal, cached token or not."""
    interceptor = AuthInterceptor(FakeValidator())
    for _ in range(2):
        context, span = request(text, auth), Span()
        context.span = span  # type: ignore[assignment]
        if event is None:
            await interceptor(context, passed)
        else:
            with pytest.raises(ServiceError):
                await interceptor(context, passed)
        assert span.events == ([] if event is None else [event])


async def test_a_remembered_token_needs_its_scopes_at_each_operation() -> None:
    """Scopes are checked for each operation, for a cached token too."""
    interceptor, text = AuthInterceptor(FakeValidator()), token()
    assert (await interceptor(request(text), passed)).result is not None
    call = interceptor(request(text, AuthRequirement(scopes=("receipts:read",))), passed)
    assert (await call).result is not None
    with pytest.raises(PermissionDeniedError):
        await interceptor(request(text, AuthRequirement(scopes=("admin",))), passed)


async def test_what_a_handler_raises_is_left_alone() -> None:
    """An exception of the handler is not treated as one of the token."""

    async def fail(context: RequestContext) -> Response:
        raise ValueError(context.key)

    with pytest.raises(ValueError, match="k-1"):
        await AuthInterceptor(FakeValidator())(request(token()), fail)
