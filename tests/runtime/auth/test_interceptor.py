"""Who is let in, what they are told who are not, and what the log says."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from testkit.doubles import a_context
from testkit.probe import RUN, MissingDetails, PartMissingError
from testkit.tokens import AUDIENCE, NOW, Judge, good_claims, private_key, signed, token
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
    """A validator that does what the test says."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def validate(self, token: str) -> Principal:
        """Answer, or fail."""
        if isinstance(self._answer, BaseException):
            raise self._answer
        answer: Principal = self._answer
        return answer


def request(text: str | None = None, auth: AuthRequirement | None = None) -> RequestContext:
    """Return a served request, with the token and what its operation demands."""
    return a_context(side="server", operation=replace(RUN, auth=auth), token=text)


async def passed(context: RequestContext) -> Response:
    """Answer the principal."""
    return Response(context.principal)


async def refused(call: Awaitable[Any], error: type[ServiceError] = UnauthenticatedError) -> str:
    """Return what the caller is told; it is not told why, and nothing hangs on the error."""
    with pytest.raises(ServiceError) as raised:
        await call
    assert type(raised.value) is error
    assert raised.value.details is None
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    return raised.value.message


TOLD = "The caller is not authenticated."


async def test_a_good_token_is_let_in() -> None:
    """Later interceptors and the handler read who calls in the context."""
    seen: list[Principal | None] = []

    async def audit(
        context: RequestContext, call_next: Callable[[RequestContext], Awaitable[Response]], /
    ) -> Response:
        seen.append(context.principal)
        return await call_next(context)

    call = chain([audit, AuthInterceptor(Judge()), audit], passed)
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
    """Without a token the contract decides, and the service where the contract is silent."""
    interceptor = AuthInterceptor(Judge(), required=required)
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
    """Whoever sends a token means it: invalid is refused even when missing would do."""
    interceptor = AuthInterceptor(Judge(), required=required)
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
    """A caller that lacks a scope is told which; scopes are compared whole, with case."""
    auth = AuthRequirement(scopes=("receipts:write", "receipts:read"))
    call = AuthInterceptor(Judge())(request(token(good_claims(scope=granted)), auth), passed)
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
    """Both claims that issuers use grant scopes."""
    auth = AuthRequirement(scopes=("receipts:write",))
    text = token(good_claims(scope=None, scp=["receipts:write"]))
    assert (await AuthInterceptor(Judge())(request(text, auth), passed)).result is not None


async def test_the_payload_is_not_judged_before_the_caller() -> None:
    """A caller that is not let in is told the same, whether its payload is good or not."""
    interceptor = AuthInterceptor(Judge())
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
    """The reason is in the log; token, claims and key are in no log, error, traceback or repr."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(UnauthenticatedError) as raised:
        await AuthInterceptor(Judge())(request(text), passed)
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
    """A code is told and nothing else; the log has the reason or the class, never the text."""
    message = await refused(AuthInterceptor(Fixed(error))(request("x"), passed), told)
    assert message == told.description
    assert caplog.messages == [f"{RUN.subject} refused a caller: {why}"]


@pytest.mark.parametrize("answer", [None, True, "ada", {"id": "ada"}, object()])
async def test_a_validator_that_names_nobody_lets_nobody_in(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A validator that returns instead of raising, or returns something else, is a defect."""
    await refused(
        AuthInterceptor(Fixed(answer), required=False)(request("x"), passed), InternalError
    )
    assert caplog.messages == [
        f"{RUN.subject} refused a caller: the validator returned no Principal"
    ]


async def test_a_validator_that_is_cancelled_stays_cancelled() -> None:
    """The end of a deadline goes through, and lets nobody in."""
    with pytest.raises(asyncio.CancelledError):
        await AuthInterceptor(Fixed(asyncio.CancelledError()))(request("x"), passed)


async def test_any_validator_will_do() -> None:
    """A validator needs one method; what it returns is who calls, scopes included."""
    ada = Principal(id="ada", scopes=frozenset({"receipts:write"}))
    auth = AuthRequirement(scopes=("receipts:write",))
    call = AuthInterceptor(Fixed(ada))(request("opaque token", auth), passed)
    assert (await call).result is ada


async def test_a_validator_that_looks_at_each_token_is_always_asked() -> None:
    """A subclass that asks more of tokens, whether they are revoked say, is asked on each call."""

    class Revoking(Judge):
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
    """Through the chain too, a token that expires between two calls is refused."""
    judge, text = Judge(leeway=0), token()
    interceptor = AuthInterceptor(judge)
    first = (await interceptor(request(text), passed)).result
    assert (await interceptor(request(text), passed)).result is first
    judge.time.now = NOW + 600
    assert await refused(interceptor(request(text), passed)) == TOLD


async def test_nothing_stands_around_the_call_of_a_remembered_token() -> None:
    """What comes next is called at once, and what it returns is returned."""
    interceptor, text = AuthInterceptor(Judge()), token()
    await interceptor(request(text), passed)
    returned = passed(request())
    assert interceptor(request(text), lambda _: returned) is returned
    await returned


async def test_a_token_in_another_place_is_none() -> None:
    """Tokens in headers, the shared context or the payload authenticate nobody."""
    context = request()
    context.headers = {"Authorization": f"Bearer {token()}", "token": token()}
    context.metadata_context = {"authentication": {"type": "jwt", "token": token()}}
    assert await refused(AuthInterceptor(Judge())(context, passed)) == TOLD


class Span:
    """A span that notes the names of its events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def is_recording(self) -> bool:
        """Return True."""
        return True

    def add_event(self, name: str, _: Any) -> None:
        """Note the name."""
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
    """Which of the two it was, once, whether the token was remembered or not."""
    interceptor = AuthInterceptor(Judge())
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
    """That it was good enough for another one says nothing."""
    interceptor, text = AuthInterceptor(Judge()), token()
    assert (await interceptor(request(text), passed)).result is not None
    call = interceptor(request(text, AuthRequirement(scopes=("receipts:read",))), passed)
    assert (await call).result is not None
    with pytest.raises(PermissionDeniedError):
        await interceptor(request(text, AuthRequirement(scopes=("admin",))), passed)


async def test_what_a_handler_raises_is_left_alone() -> None:
    """An error of the handler is not taken for one of the token."""

    async def fail(context: RequestContext) -> Response:
        raise ValueError(context.key)

    with pytest.raises(ValueError, match="k-1"):
        await AuthInterceptor(Judge())(request(token()), fail)
