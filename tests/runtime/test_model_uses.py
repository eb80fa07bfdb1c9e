"""Models as plain pydantic: in FastAPI, copied and pickled."""

from __future__ import annotations

import copy
import datetime as dt
import ipaddress
import pickle
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import MISSING, Field

from weenats import Model, formats
from weenats.model import OMIT_NONE


class Line(Model):
    """A part of an order."""

    price: formats.Decimal
    count: int


class Order(Model):
    """A model with a member of each kind that generated models have."""

    id: formats.UUID
    at: formats.AwareDatetime
    day: formats.date
    opens: formats.time
    stay: formats.timedelta
    v4: formats.IPv4Address
    v6: formats.IPv6Address
    file: formats.Base64
    kind: Literal["a", "b"]
    lines: list[Line]
    line_total: Annotated[float, Field(alias="lineTotal")]
    days: dict[str, formats.date]
    note: Annotated[str | None, OMIT_NONE] = None
    discount: float | MISSING | None = MISSING


BODY: dict[str, Any] = {
    "id": "6f1f5b0e-8a4e-4c7e-9c57-2f2f0c0a4f11",
    "at": "2026-12-01T10:00:00Z",
    "day": "2026-12-01",
    "opens": "10:00:00Z",
    "stay": "P400DT1H",
    "v4": "1.2.3.4",
    "v6": "::1",
    "file": "AP8=",
    "kind": "a",
    "lines": [{"price": 1.1, "count": 2}, {"price": 3, "count": 1}],
    "lineTotal": 2,
    "days": {"first": "2026-12-01"},
}
ORDER = Order(
    id=uuid.UUID(BODY["id"]),
    at=dt.datetime(2026, 12, 1, 10, tzinfo=dt.UTC),
    day=dt.date(2026, 12, 1),
    opens=dt.time(10, tzinfo=dt.UTC),
    stay=dt.timedelta(days=400, hours=1),
    v4=ipaddress.IPv4Address("1.2.3.4"),
    v6=ipaddress.IPv6Address("::1"),
    file=b"\x00\xff",
    kind="a",
    lines=[Line(price=Decimal("1.1"), count=2), Line(price=Decimal(3), count=1)],
    line_total=2,
    days={"first": dt.date(2026, 12, 1)},
)


@pytest.mark.slow
def test_models_are_request_bodies_and_responses() -> None:
    """FastAPI reads and writes the same JSON as a service, and refuses what it refuses."""
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    app = FastAPI()
    seen: list[Order] = []

    async def post(order: Order) -> Order:
        seen.append(order)
        return order

    app.post("/orders", response_model_exclude_unset=False)(post)
    with TestClient(app) as http:
        answer = http.post("/orders", json=BODY)
        assert (answer.status_code, answer.json()) == (200, BODY)
        assert seen == [ORDER]
        for wrong in (
            {"day": "0"},
            {"day": 5},
            {"stay": "P1Y"},
            {"stay": 5},
            {"file": "?"},
            {"v6": "fe80::1%eth0"},
            {"lines": [{"price": "1.1", "count": 1}]},
            {"lines": [{"price": 1, "count": "1"}]},
            {"note": 5},
        ):
            assert http.post("/orders", json=BODY | wrong).status_code == 422
        assert http.get("/openapi.json").status_code == 200


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_models_have_a_json_schema(mode: Literal["validation", "serialization"]) -> None:
    """Both JSON Schemas of a model have the names on the wire, formats and encodings."""
    schema = Order.model_json_schema(mode=mode)
    properties = schema["properties"]
    assert properties["lineTotal"] == {"title": "Linetotal", "type": "number"}
    assert properties["at"]["format"] == "date-time"
    assert properties["stay"]["format"] == "duration"
    assert properties["file"]["contentEncoding"] == "base64"
    assert schema["$defs"]["Line"]["properties"]["price"]["format"] == "decimal"
    assert set(schema["required"]) == BODY.keys()


def test_models_are_copied_and_pickled() -> None:
    """Copies are equal, and write the same JSON."""
    copies = [
        copy.copy(ORDER),
        copy.deepcopy(ORDER),
        ORDER.model_copy(deep=True),
        pickle.loads(pickle.dumps(ORDER)),  # noqa: S301 - our own
        Order.model_validate(ORDER.model_dump()),
        Order.model_validate(ORDER.model_dump(mode="json")),
        Order.model_validate_json(ORDER.model_dump_json()),
    ]
    for each in copies:
        assert each == ORDER
        assert each.model_dump_json() == ORDER.model_dump_json()
        assert each.discount is MISSING
