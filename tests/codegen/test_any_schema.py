"""A service of a contract whose schemas are of any kind: called by its generated client."""

from __future__ import annotations

import datetime as dt
import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from weenats import Entity, InternalError, InvalidArgumentError, NatsServiceBuilder
from weenats.testing import MemoryTransport
from weenats_codegen.cli.main import main

EXPECTED = Path(__file__).parent / "golden" / "any-schema" / "expected"
ID = UUID("6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11")


@pytest.fixture(scope="module")
def catalog() -> Iterator[ModuleType]:
    """The generated package."""
    sys.path.insert(0, str(EXPECTED))
    yield importlib.import_module("catalog")
    sys.path.remove(str(EXPECTED))
    for name in [name for name in sys.modules if name.partition(".")[0] == "catalog"]:
        del sys.modules[name]


@asynccontextmanager
async def client_of(catalog: ModuleType, answer: Any = None) -> Any:
    """Yield a client of a service that answers everything in the same way."""
    base: Any = catalog.CatalogHandlers

    class Handlers(base):  # type: ignore[misc] # of a module that is generated
        """Handlers that return what a test sets, or what they are given."""

    async def respond(_: object, key: str, payload: object, context: object) -> Any:
        del key, context
        return answer(payload) if callable(answer) else answer

    async def show(_: object, key: str, context: Any) -> Any:
        del key
        state = catalog.models.Product
        return Entity[state](id=context.aggregate_id, state=answer, revision=1)

    for name in ("tag", "price", "ship", "rename", "find"):
        setattr(Handlers, name, respond)
    Handlers.get_product = show
    Handlers.__abstractmethods__ = frozenset()
    transport = MemoryTransport()
    service = NatsServiceBuilder(Handlers(), transport=transport).build()
    async with service, catalog.CatalogClient(transport) as client:
        yield client


async def test_payloads_of_any_type_reach_handlers(catalog: ModuleType) -> None:
    """Lists, texts, unions and numbers with all digits are what the handlers get."""
    async with client_of(catalog, len) as client:
        assert await client.tag("p", ["a", "b"]) == 2
    seen: list[Any] = []
    async with client_of(catalog, seen.append) as client:
        price = catalog.Price(price=Decimal("12345678901234567.89"), from_=dt.date(2026, 1, 1))
        await client.price("p", price)
        await client.ship("p", catalog.models.Courier(weight=5, way="courier"))
        await client.ship("p", catalog.models.Post(weight=500, way="parcel"))
    assert seen[0] == price
    assert [type(each).__name__ for each in seen] == ["Price", "Courier", "Post"]


async def test_what_models_do_not_enforce_is_checked(catalog: ModuleType) -> None:
    """Payloads and results that break only the schema are refused where they are sent."""
    async with client_of(catalog, answer=-1) as client:
        with pytest.raises(InvalidArgumentError, match="equal items"):
            await client.tag("p", ["a", "a"])
        with pytest.raises(InvalidArgumentError):
            await client.price("p", catalog.Price(price=Decimal("0.001")))
        with pytest.raises(InvalidArgumentError):
            await client.price("p", catalog.Price(price=Decimal(1), until=dt.date(2026, 1, 1)))
        with pytest.raises(InvalidArgumentError):
            await client.find("p", catalog.FindParameters())
        with pytest.raises(InternalError):
            await client.tag("p", ["a"])


async def test_state_is_what_the_schema_allows(catalog: ModuleType) -> None:
    """A state has Python's types, keeps unknown members, and survives a round trip."""
    product = catalog.Product.model_validate_json(
        json.dumps(
            {
                "id": str(ID),
                "size": [1, 2.5],
                "level": 3,
                "image": "AP8=",
                "parts": {"x": {"id": str(ID), "size": [0, 0]}},
                "anything": [None],
                "released": "2016-12-31T23:59:60Z",
                "more": {"a": 1},
            }
        )
    )
    assert (product.level, product.image, product.tags) == (catalog.Level.HIGH, b"\0\xff", [])
    async with client_of(catalog, answer=product) as client:
        assert (await client.get_product("p")).state == product


async def test_details_of_any_type(catalog: ModuleType) -> None:
    """Details of errors are lists and nullable texts, and are checked like results."""

    def refuse(tags: list[str]) -> int:
        if tags == ["unknown"]:
            raise catalog.UnknownError(details=None)
        raise catalog.RefusedError(details=tags * 2)

    async with client_of(catalog, refuse) as client:
        with pytest.raises(catalog.UnknownError) as unknown:
            await client.tag("p", ["unknown"])
        assert unknown.value.details is None
        with pytest.raises(InternalError):
            await client.tag("p", ["twice"])


def test_deprecated_members_and_classes_warn(catalog: ModuleType) -> None:
    """Using what the contract deprecates warns with the text of the contract."""
    with pytest.warns(DeprecationWarning, match="What products were before"):
        legacy = catalog.models.Legacy(name="x")
    product = catalog.Product(id=ID, size=(1.0, 1.0), code="c", legacy=legacy)
    with pytest.warns(DeprecationWarning, match="Use `id`"):
        assert product.code


def test_explain_names_what_json_schema_checks(
    catalog: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    """`weenats explain` names the parts that models do not enforce alone, and their keywords."""
    price = "(Price#/dependentRequired, Price#/properties/price/exclusiveMinimum, "
    price += "Price#/properties/price/multipleOf)"
    for operation, parts in {
        "tag": [
            "payload (Tag#/uniqueItems)",
            "details of RefusedError (RefusedDetails#/uniqueItems)",
        ],
        "price": [f"payload {price}"],
        "ship": [],
    }.items():
        assert main(["explain", f"{catalog.__name__}.app:builder", operation, "--json"]) == 0
        (policy,) = json.loads(capsys.readouterr().out)
        settings = {each["name"]: (each["value"], each["source"]) for each in policy["settings"]}
        source = "contract" if parts else "default"
        assert settings["checked by JSON Schema"] == (parts, source)
