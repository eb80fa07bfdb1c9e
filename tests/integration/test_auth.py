"""Authentication with the generated receipts client over a real server."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from types import ModuleType
from typing import Any

import pytest

from receipts import AddItem, ReceiptNotFoundError, ReceiptsClient
from receipts.handlers import Receipts
from testkit.probe import Probe, ProbeClient, Run
from testkit.receipts_with_auth import receipts_with_auth
from testkit.tokens import (
    NOW,
    SECRET,
    FakeValidator,
    good_claims,
    jwk,
    pem,
    private_key,
    signed,
    token,
)
from testkit.wire import METADATA
from weenats import (
    InvalidTokenError,
    JwtAuthConfig,
    NatsServiceBuilder,
    NatsTransport,
    NoAuthConfig,
    PermissionDeniedError,
    Principal,
    RequestContext,
    Response,
    UnauthenticatedError,
    UnavailableError,
)
from weenats.interceptors import CallNext
from weenats.protocol.messages import JwtAuthentication

NAN = float("nan")
COFFEE = AddItem(name="Coffee", price=4.5, quantity=2)


@pytest.fixture(scope="module")
def guarded(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The sample package with a contract that requires authentication and scopes."""
    with receipts_with_auth(repository, tmp_path_factory.mktemp("guarded")) as package:
        yield package


@asynccontextmanager
async def serving(url: str, judge: Any, **options: Any) -> AsyncIterator[ReceiptsClient]:
    """Serve the sample with this validator; yield a client without a token."""
    builder = NatsServiceBuilder(Receipts(), url).with_auth(validator=judge, **options)
    async with builder.build(), ReceiptsClient.connect(url) as receipts:
        yield receipts


async def rejection(client: ReceiptsClient) -> tuple[type, str, object, bool]:
    """Return type, message, details and origin of the error of an unauthenticated call."""
    with pytest.raises(UnauthenticatedError) as error:
        await client.add_item("r-1", COFFEE)
    return type(error.value), error.value.message, error.value.details, error.value.remote


REFUSED = (UnauthenticatedError, "The caller is not authenticated.", None, True)


async def test_valid_token_is_accepted(nats_url: str) -> None:
    """Calls with a valid token succeed and still get the errors of the service."""
    async with serving(nats_url, FakeValidator()) as receipts:
        known = receipts.with_token(token())
        assert (await known.add_item("r-1", COFFEE)).total == 9.0
        assert (await known.get_receipt("r-1")).revision == 1
        with pytest.raises(ReceiptNotFoundError):
            await known.get_receipt("r-2")


@pytest.mark.parametrize(
    "settings",
    [
        {"algorithms": ["EdDSA"], "public_key": pem(private_key("EdDSA")).decode()},
        {"algorithms": ["ES256"], "public_key": jwk(private_key("ES256"), kid="k-1")},
        {"algorithms": ["RS256"], "public_key": json.dumps(jwk(private_key("RS256")))},
        {"algorithms": ["HS256"], "secret": SECRET},
    ],
)
async def test_jwt_config_for_each_algorithm(nats_url: str, settings: dict[str, Any]) -> None:
    """JwtAuthConfig accepts valid tokens of its key and rejects expired ones."""
    config = JwtAuthConfig(**settings, issuer="https://issuer.example", audience="receipts")
    builder = NatsServiceBuilder(Receipts(), nats_url).with_auth(config)
    algorithm = settings["algorithms"][0]
    now = int(time())
    good, old = (
        _signed(algorithm, good_claims(iat=issued, exp=issued + 600)) for issued in (now, now - 999)
    )
    async with builder.build(), ReceiptsClient.connect(nats_url, token=good) as receipts:
        assert (await receipts.add_item("r-1", COFFEE)).total == 9.0
        assert await rejection(receipts.with_token(old)) == REFUSED


def _signed(algorithm: str, claims: dict[str, Any]) -> str:
    key = SECRET if algorithm == "HS256" else None
    return signed({"alg": algorithm, "typ": "JWT"}, claims, key, algorithm)


async def test_missing_token_is_rejected(nats_url: str) -> None:
    """A call without a token fails with UNAUTHENTICATED and no details."""
    async with serving(nats_url, FakeValidator()) as receipts:
        assert await rejection(receipts) == REFUSED


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("no-token", id="garbage"),
        pytest.param(token()[:-8] + "AAAAAAAA", id="signature"),
        pytest.param(f"Bearer {token()}", id="bearer"),
        pytest.param(token(alg="none"), id="none"),
        pytest.param(token(good_claims(exp=NOW - 31)), id="expired"),
        pytest.param(token(good_claims(nbf=NOW + 31)), id="not yet"),
        pytest.param(token(good_claims(aud="orders")), id="wrong audience"),
        pytest.param(token(good_claims(iss="https://other.example")), id="wrong issuer"),
        pytest.param(token(good_claims(sub=None)), id="nobody"),
        pytest.param("x" * 500_000, id="endless"),
    ],
)
@pytest.mark.parametrize("required", [True, False])
async def test_invalid_token_is_rejected(nats_url: str, text: str, *, required: bool) -> None:
    """Every invalid token gets the same error, also if authentication is optional."""
    async with serving(nats_url, FakeValidator(), required=required) as receipts:
        assert await rejection(receipts.with_token(text)) == REFUSED


async def test_token_that_expires_between_calls_is_rejected(nats_url: str) -> None:
    """A token that was accepted before is rejected as soon as it expires."""
    judge = FakeValidator(leeway=0.0)
    async with serving(nats_url, judge) as receipts:
        known = receipts.with_token(token(good_claims(exp=NOW + 10)))
        await known.add_item("r-1", COFFEE)
        judge.time.now += 9.9
        await known.add_item("r-1", COFFEE)
        judge.time.now += 0.1
        assert await rejection(known) == REFUSED


async def test_optional_authentication(nats_url: str) -> None:
    """With required=False calls without a token succeed; a valid token sets the principal."""
    seen: list[Principal | None] = []

    async def note(context: RequestContext, call_next: CallNext) -> Response:
        seen.append(context.principal)
        return await call_next(context)

    builder = NatsServiceBuilder(Receipts(), nats_url)
    builder = builder.with_auth(validator=FakeValidator(), required=False).with_interceptor(note)
    async with builder.build(), ReceiptsClient.connect(nats_url) as receipts:
        await receipts.add_item("r-1", COFFEE)
        await receipts.with_token(token()).add_item("r-1", COFFEE)
    assert seen[0] is None
    assert seen[1] is not None
    assert seen[1].id == "ada"


async def test_contract_sets_authentication_and_scopes(nats_url: str, guarded: ModuleType) -> None:
    """Authentication and scopes of the contract take precedence over the service's setting."""
    handlers = guarded.handlers.Receipts()
    builder = NatsServiceBuilder(handlers, nats_url).with_auth(
        validator=FakeValidator(), required=False
    )
    async with builder.build(), guarded.ReceiptsClient.connect(nats_url) as anybody:
        with pytest.raises(guarded.ReceiptNotFoundError):
            await anybody.get_receipt("r-1")
        with pytest.raises(UnauthenticatedError):
            await anybody.with_token("no-token").get_receipt("r-1")
        with pytest.raises(guarded.ReceiptNotFoundError):
            await anybody.finalize("r-1", guarded.Finalize())
        with pytest.raises(UnauthenticatedError):
            await anybody.remove_item("r-1", guarded.RemoveItem(name="Coffee"))
        coffee = guarded.AddItem(name="Coffee", price=4.5, quantity=2)
        with pytest.raises(UnauthenticatedError):
            await anybody.add_item("r-1", coffee)
        reader = anybody.with_token(token(good_claims(scope="receipts:read")))
        with pytest.raises(PermissionDeniedError) as error:
            await reader.add_item("r-1", coffee)
        assert "receipts:write" in error.value.message
        assert "receipts:read" not in error.value.message
        with pytest.raises(guarded.ReceiptNotFoundError):
            await reader.remove_item("r-1", guarded.RemoveItem(name="Coffee"))
        writer = anybody.with_token(token(good_claims(scope="receipts:write")))
        assert (await writer.add_item("r-1", coffee)).total == 9.0
        with pytest.raises(PermissionDeniedError, match="receipts:void"):
            await writer.void_receipt("r-1", guarded.VoidReceipt(reason="typing error"))
        voider = anybody.with_token(
            token(good_claims(scope=None, scp=["receipts:void", "receipts:write"]))
        )
        await voider.void_receipt("r-1", guarded.VoidReceipt(reason="typing error"))


def test_contract_with_authentication_requires_with_auth(guarded: ModuleType) -> None:
    """build() fails without with_auth() if the contract requires authentication."""
    builder = NatsServiceBuilder(guarded.handlers.Receipts())
    asking = r"authentication for add-item, remove-item, void-receipt: add with_auth"
    with pytest.raises(ValueError, match=asking):
        builder.build()
    with pytest.raises(
        ValueError, match=r"void-receipt: with_auth\(NoAuthConfig\(\)\) turns it off"
    ):
        builder.with_auth(NoAuthConfig()).build()
    builder.with_auth(validator=FakeValidator()).build()
    NatsServiceBuilder(Receipts()).with_auth(NoAuthConfig()).build()


async def test_no_auth_config_ignores_tokens(nats_url: str) -> None:
    """With NoAuthConfig calls succeed with any token, even an invalid one."""
    builder = NatsServiceBuilder(Receipts(), nats_url).with_auth(NoAuthConfig())
    async with builder.build(), ReceiptsClient.connect(nats_url, token="bad") as receipts:
        assert (await receipts.add_item("r-1", COFFEE)).total == 9.0


class CustomValidator:
    """A user-defined token validator."""

    async def validate(self, token: str) -> Principal:
        """Accept one fixed token."""
        if token == "closed":
            raise UnavailableError(f"the list of {token} is closed")
        if token != "open sesame":
            raise InvalidTokenError("unknown word")
        return Principal(id="ali", scopes=frozenset({"receipts:write"}), claims={"cave": [1]})


async def test_custom_validator(nats_url: str, guarded: ModuleType) -> None:
    """Any object with `validate` authenticates callers; scopes and errors work as usual."""
    handlers = guarded.handlers.Receipts()
    builder = NatsServiceBuilder(handlers, nats_url).with_auth(validator=CustomValidator())
    async with builder.build(), guarded.ReceiptsClient.connect(nats_url) as receipts:
        coffee = guarded.AddItem(name="Coffee", price=4.5, quantity=2)
        await receipts.with_token("open sesame").add_item("r-1", coffee)
        with pytest.raises(UnauthenticatedError):
            await receipts.with_token(token()).add_item("r-1", coffee)
        with pytest.raises(UnavailableError) as error:
            await receipts.with_token("closed").add_item("r-1", coffee)
        assert "closed" not in str(error.value)


async def test_principal_reaches_handlers_and_later_interceptors(nats_url: str) -> None:
    """Handlers and the interceptors added after with_auth() see the principal."""
    seen: list[tuple[str, str | None]] = []

    def note(name: str) -> Any:
        async def interceptor(context: RequestContext, call_next: CallNext) -> Response:
            seen.append((name, context.principal and context.principal.id))
            return await call_next(context)

        return interceptor

    handlers = Probe()
    builder = NatsServiceBuilder(handlers, nats_url).with_interceptor(note("before"))
    builder = builder.with_auth(validator=FakeValidator(audience="probe")).with_interceptor(
        note("after")
    )
    async with builder.build(), ProbeClient.connect(nats_url) as client:
        await client.run("k", Run(action="go"), token=token(good_claims(aud="probe", dept="x")))
        with pytest.raises(UnauthenticatedError):
            await client.run("k", Run(action="go"))
    assert seen == [("before", None), ("after", "ada"), ("before", None)]
    (context,) = handlers.seen
    assert context.principal is not None
    assert context.principal.claims["dept"] == "x"
    assert context.principal.issuer == "https://issuer.example"
    assert context.principal.expires_at == NOW + 600
    with pytest.raises(TypeError):
        context.principal.claims["dept"] = "y"  # type: ignore[index]


async def test_services_on_one_connection_check_their_own_audience(nats_url: str) -> None:
    """A token of one service is rejected by the other, also after it was accepted."""
    transport = NatsTransport(nats_url)
    first = NatsServiceBuilder(Receipts(), transport=transport).with_auth(validator=FakeValidator())
    second = NatsServiceBuilder(Probe(), transport=transport)
    second = second.with_auth(validator=FakeValidator(audience="probe"))
    for_receipts, for_probe = token(), token(good_claims(aud="probe"))
    async with first.build(), second.build():
        receipts, probe = ReceiptsClient(transport), ProbeClient(transport)
        for _ in range(3):
            await receipts.with_token(for_receipts).add_item("r-1", COFFEE)
            await probe.with_token(for_probe).run("k", Run(action="go"))
            assert await rejection(receipts.with_token(for_probe)) == REFUSED
            with pytest.raises(UnauthenticatedError):
                await probe.with_token(for_receipts).run("k", Run(action="go"))
    await transport.close()


@pytest.mark.parametrize(
    ("members", "headers"),
    [
        ({}, {"Authorization": f"Bearer {token()}"}),
        ({}, {"authentication": token(), "token": token()}),
        ({"metadata": {"context": {"authentication": {"type": "jwt", "token": token()}}}}, None),
        ({"metadata": {"token": token()}}, None),
        ({"authentication": {"type": "jwt", "token": token()}}, None),
        ({"command": {"authentication": {"type": "jwt", "token": token()}}}, None),
    ],
)
async def test_token_outside_metadata_authentication_is_ignored(
    nats_url: str, raw: Any, members: dict[str, Any], headers: dict[str, str] | None
) -> None:
    """Only `metadata.authentication` counts: no header, context or payload member does."""
    metadata = {
        "messageId": "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
        "timestamp": "2026-03-01T09:30:00.125Z",
    }
    body = {
        "aggregateId": {"type": "receipt", "key": "r-1"},
        "command": {"name": "Coffee", "price": 4.5, "quantity": 2},
        **members,
        "metadata": {**metadata, **members.get("metadata", {})},
    }
    async with serving(nats_url, FakeValidator()):
        reply = await raw.request(
            "receipts.command.receipt.add-item", json.dumps(body).encode(), headers=headers
        )
    assert json.loads(reply.data)["error"]["code"] == "UNAUTHENTICATED"


async def test_authentication_precedes_payload_validation(nats_url: str, raw: Any) -> None:
    """Unauthenticated callers get the same error for valid and invalid payloads and contexts."""
    replies = []
    async with serving(nats_url, FakeValidator()):
        coffee = {"name": "Coffee", "price": 4.5, "quantity": 2}
        for command, context in ((coffee, {}), ({"name": 5}, {}), (None, {}), (coffee, {"x": NAN})):
            body = {
                "aggregateId": {"type": "receipt", "key": "r-1"},
                "command": command,
                "metadata": {**METADATA, "context": context},
            }
            reply = await raw.request(
                "receipts.command.receipt.add-item", json.dumps(body).encode()
            )
            replies.append((json.loads(reply.data)["error"], reply.headers))
    assert all(each == replies[0] for each in replies)


async def test_tokens_are_never_exposed(nats_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """No log, error, repr, reply or statistics contains a token, a claim or a key."""
    caplog.set_level(logging.DEBUG)
    claims = {"sub": "s3cret-subject", "mail": "s3cret-mail", "scope": "s3cret-scope"}
    texts = [
        token(good_claims(**claims)),
        token(good_claims(**claims, exp=NOW - 99)),
        token(good_claims(**{**claims, "aud": "s3cret-audience"})),
        token(good_claims(**claims), kid="s3cret-kid", typ="s3cret-typ"),
        token(good_claims(**claims))[:-6] + "AAAAAA",
        "s3cret-garbage",
    ]
    seen: list[str] = []
    handlers = Probe()

    async def fail(key: str, command: Run, context: RequestContext) -> Any:
        authentication = JwtAuthentication(type="jwt", token=context.token or "")
        seen.extend([repr(context), repr(context.principal), repr(authentication)])
        seen.append(repr({**dict.fromkeys("a", context.principal)}))
        raise ValueError

    handlers.actions["fail"] = fail
    config = JwtAuthConfig(algorithms=["HS256"], secret="s3cret-" * 8)
    seen += [repr(config), str(config), repr(config.secret)]
    builder = NatsServiceBuilder(handlers, nats_url).with_auth(validator=FakeValidator())
    service = builder.build()
    async with service, ProbeClient.connect(nats_url) as client:
        for text in texts:
            with pytest.raises(Exception) as error:  # noqa: PT011 - all of them are looked at
                await client.with_token(text).run("k", Run(action="fail"))
            seen += [str(error.value), repr(error.value), str(error.value.__context__)]
            seen.append(repr(client.with_token(text)))
        stats = await client.get_service_stats()
        seen += [stats.model_dump_json(), (await client.get_service_info()).model_dump_json()]
        seen += [repr(service), repr(builder)]
    seen += [record.getMessage() for record in caplog.records]
    seen += [str(record.exc_info) for record in caplog.records]
    seen.append(caplog.text)
    signature = texts[0].rpartition(".")[2]
    for shown in seen:
        assert "s3cret" not in shown
        assert signature not in shown
        assert not any(text in shown for text in texts)
    reasons = [each for each in caplog.messages if "refused a caller" in each]
    assert len(reasons) == len(set(reasons)) == len(texts) - 1


@pytest.mark.parametrize(
    ("arguments", "kind", "reason"),
    [
        ({}, ValueError, "either a configuration or a validator"),
        (
            {"config": NoAuthConfig(), "validator": CustomValidator()},
            ValueError,
            "either a configuration or a validator",
        ),
        ({"config": NoAuthConfig(), "required": False}, ValueError, "its own"),
        ({"config": {"type": "none"}}, TypeError, "not dict"),
        ({"config": "none"}, TypeError, "not str"),
        ({"validator": "none"}, TypeError, "no `validate`"),
        ({"validator": object()}, TypeError, "no `validate`"),
    ],
)
def test_invalid_settings_are_rejected_immediately(
    arguments: dict[str, Any], kind: type[Exception], reason: str
) -> None:
    """with_auth() rejects invalid settings, before the first request."""
    with pytest.raises(kind, match=reason):
        NatsServiceBuilder(Receipts()).with_auth(**arguments)


def test_with_auth_can_be_called_only_once() -> None:
    """A second with_auth() fails; the original builder stays unchanged."""
    builder = NatsServiceBuilder(Receipts())
    asking = builder.with_auth(validator=CustomValidator())
    with pytest.raises(ValueError, match=r"with_auth\(\) was already called"):
        asking.with_auth(validator=CustomValidator())
    builder.with_auth(validator=CustomValidator())


def test_copied_configuration_is_validated_again() -> None:
    """with_auth() validates a configuration that was changed with model_copy()."""
    config = JwtAuthConfig(algorithms=["EdDSA"], public_key=pem(private_key("EdDSA")))
    for update in ({"algorithms": ()}, {"algorithms": ("HS256",)}, {"issuer": ""}):
        with pytest.raises(ValueError, match=r".+"):
            NatsServiceBuilder(Receipts()).with_auth(config.model_copy(update=update))
