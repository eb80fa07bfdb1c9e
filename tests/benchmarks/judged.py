"""Contender "weenats, exact by check": JSON Schemas judge the payload and the result.

The models are those of "weenats", which are exact alone. Here the schemas have one rule each that
models do not enforce, as generated code has it.
"""

import json
from dataclasses import replace
from typing import Final

import typed
from harness import Call
from weenats import NatsServiceBuilder
from weenats.contract import Command
from weenats.schema import JsonSchemas, Schema

_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_INTEGER: Final = {"type": "integer"}
_ITEM: Final = {"sku": _TEXT, "name": _TEXT, "price": _NUMBER, "quantity": _INTEGER}
_ORDER: Final = {
    "customer": _TEXT,
    "currency": _TEXT,
    "note": _TEXT,
    "items": {
        "type": "array",
        "uniqueItems": True,
        "items": {"type": "object", "properties": _ITEM, "required": [*_ITEM]},
    },
}
_CONFIRMATION: Final = {
    "customer": _TEXT,
    "status": {"enum": ["accepted", "refused"]},
    "total": _NUMBER,
    "positions": _INTEGER,
    "warehouse": _TEXT,
    "carrier": _TEXT,
    "message": _TEXT,
}
JSON_SCHEMAS: Final = JsonSchemas(
    json.dumps(
        {
            "$defs": {
                "CreateOrder": {"type": "object", "properties": _ORDER, "required": [*_ORDER]},
                "Confirmation": {
                    "type": "object",
                    "properties": _CONFIRMATION,
                    "required": [*_CONFIRMATION],
                    "not": {"properties": {"carrier": {"const": "none"}}},
                },
            }
        }
    )
)
_Create = Command[typed.CreateOrder, typed.Confirmation]


def judged(command: _Create) -> _Create:
    """Return the same command with judges."""
    return replace(
        command,
        payload=Schema[typed.CreateOrder](typed.CreateOrder, JSON_SCHEMAS["CreateOrder"]),
        result=Schema[typed.Confirmation](typed.Confirmation, JSON_SCHEMAS["Confirmation"]),
    )


Orders, OrdersClient = typed.under("bench-judged")
Orders.operation = OrdersClient.operation = judged(Orders.operation)


async def serve(url: str) -> None:
    """Serve with judges."""
    await typed.serving(NatsServiceBuilder(Orders(), servers=url))


async def connect(url: str) -> Call:
    """Call as ever."""
    return await typed.calling(OrdersClient.connect(url))
