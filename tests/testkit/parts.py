"""A service whose payloads, results, states, events and details are of any type, some judged."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from types import NoneType
from typing import Annotated, Any, ClassVar, Final

from pydantic import MISSING, Field, JsonValue
from typing_extensions import TypeAliasType

from weenats import (
    Aggregate,
    Command,
    Endpoint,
    Entity,
    Event,
    FailedPreconditionError,
    Model,
    NotFoundError,
    Query,
    RequestContext,
    ServiceContract,
    ServiceHandlers,
    formats,
)
from weenats.model import OMIT_NONE
from weenats.schema import JsonSchemas, Schema

DEFINITIONS: Final[dict[str, Any]] = {
    "Tags": {"type": "array", "uniqueItems": True, "items": {"type": "string", "minLength": 1}},
    "Booking": {
        "type": "object",
        "required": ["price", "kind"],
        "properties": {
            "price": {"type": "number", "multipleOf": 0.01, "exclusiveMinimum": 0},
            "prices": {"type": "object", "additionalProperties": {"$ref": "#/$defs/Rate"}},
            "pair": {"prefixItems": [{"$ref": "#/$defs/Rate"}, {"type": "string"}], "minItems": 2},
            "kind": {"enum": ["room", "flight"]},
            "nights": {"type": "integer", "minimum": 1},
            "from": {"type": "string", "format": "date"},
            "stay": {"type": "string", "format": "duration"},
            "note": {"type": "string", "pattern": r"^\d+$"},
            "file": {"type": "string", "contentEncoding": "base64"},
            "anything": True,
        },
        "if": {"properties": {"kind": {"const": "room"}}},
        "then": {"required": ["nights"]},
        "dependentRequired": {"from": ["nights"]},
        "unevaluatedProperties": False,
    },
    "Rate": {"type": "number", "multipleOf": 0.0001},
    "Note": {"oneOf": [{"type": "null"}, {"type": "string", "minLength": 2}]},
    "Odd": {"type": "integer", "not": {"multipleOf": 2}},
    "Anything": True,
}
JSON_SCHEMAS: Final = JsonSchemas(
    json.dumps({"$defs": DEFINITIONS}),
    reasons={"Booking": ["Booking#/dependentRequired", "..."], "Tags": ["Tags#/uniqueItems"]},
)

Tags = TypeAliasType("Tags", list[Annotated[str, Field(min_length=1)]])
Note = TypeAliasType("Note", str | None)
Odd = TypeAliasType("Odd", int)
Level = TypeAliasType("Level", Annotated[int, Field(ge=0, le=10)])
Anything = TypeAliasType("Anything", JsonValue)


class Booking(Model):
    """A model that does not enforce all of its schema."""

    price: formats.Decimal
    prices: Annotated[dict[str, formats.Decimal] | None, OMIT_NONE] = None
    pair: Annotated[tuple[formats.Decimal, str] | None, OMIT_NONE] = None
    kind: str
    nights: Annotated[int | None, OMIT_NONE] = None
    start: Annotated[formats.date | None, Field(alias="from"), OMIT_NONE] = None
    stay: Annotated[formats.timedelta | None, OMIT_NONE] = None
    note: Annotated[str | None, OMIT_NONE] = None
    file: Annotated[formats.Base64 | None, OMIT_NONE] = None
    anything: JsonValue | MISSING = MISSING


class RefusedError(FailedPreconditionError):
    """A declared error whose details are a list that is judged."""

    name: ClassVar[str] = "refused"
    details_type = Schema[Tags](Tags, JSON_SCHEMAS["Tags"])
    details: Tags

    def __init__(self, message: str | None = None, *, details: Tags) -> None:
        super().__init__(message, details=details)


class UnknownError(NotFoundError):
    """A declared error whose details may be null."""

    name: ClassVar[str] = "unknown"
    details_type = Schema[Note](Note)
    details: Note

    def __init__(self, message: str | None = None, *, details: Note) -> None:
        super().__init__(message, details=details)


CONTRACT: Final = ServiceContract(
    name="parts", version="1.0.0", description="Any type.", digest="sha256:parts"
)
PART: Final = Aggregate(name="part", state=Schema[Odd](Odd, JSON_SCHEMAS["Odd"]))
BOOKED: Final = Event(
    name="booked",
    contract=CONTRACT,
    aggregate=PART,
    data=Schema[Booking](Booking, JSON_SCHEMAS["Booking"]),
    description="It was booked.",
)
TAGGED: Final = Event(
    name="tagged",
    contract=CONTRACT,
    aggregate=PART,
    data=Schema[Tags](Tags, JSON_SCHEMAS["Tags"]),
    description="It was tagged.",
)
BOOK: Final = Command(
    name="book",
    contract=CONTRACT,
    aggregate=PART,
    payload=Schema[Booking](Booking, JSON_SCHEMAS["Booking"]),
    result=Schema[Booking](Booking, JSON_SCHEMAS["Booking"]),
    errors=(RefusedError, UnknownError),
    emits=(BOOKED,),
    description="Book it.",
)
TAG: Final = Command(
    name="tag",
    contract=CONTRACT,
    aggregate=PART,
    payload=Schema[Tags](Tags, JSON_SCHEMAS["Tags"]),
    result=Schema[Note](Note, JSON_SCHEMAS["Note"]),
    description="Tag it.",
)
RATE: Final = Command(
    name="rate",
    contract=CONTRACT,
    aggregate=PART,
    payload=Schema[Level](Level),
    result=Schema[None](None),
    description="Rate it; the result is null.",
)
ECHO: Final = Query(
    name="echo",
    contract=CONTRACT,
    aggregate=PART,
    parameters=Schema[Anything](Anything),
    result=Schema[Anything](Anything),
    description="Answer the same.",
)
GET: Final = Query(
    name="get",
    contract=CONTRACT,
    aggregate=PART,
    parameters=NoneType,
    result=Schema[Entity[Odd]](Entity[Odd], JSON_SCHEMAS["Odd"]),
    description="The state, an odd number.",
)
BOOKING: Final = Booking(
    price=decimal.Decimal("12345678901234567890.10"),
    prices={"a": decimal.Decimal("0.0001"), "b": decimal.Decimal(7)},
    pair=(decimal.Decimal("12345678901234567890.1234"), "x"),
    kind="room",
    nights=3,
    start=dt.date(2026, 12, 1),
    stay=dt.timedelta(days=400),
    note="17",
    file=b"\x00\xff",
    anything={"a": [1.5, None]},
)
"""A valid booking with a value of each kind."""


class Parts(ServiceHandlers):
    """Handlers that return what a test sets, by default what they were given."""

    contract: ClassVar[ServiceContract] = CONTRACT

    def __init__(self) -> None:
        self.answer: Any = lambda payload: payload
        self.seen: list[object] = []

    async def respond(self, key: str, payload: object, context: RequestContext) -> Any:
        """Return what the test has set."""
        del key, context
        self.seen.append(payload)
        return self.answer(payload)

    async def _get(self, key: str, context: RequestContext) -> Any:
        del key
        return Entity[Odd](id=context.aggregate_id, state=self.answer(5), revision=1)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all operations."""
        return (
            Endpoint.command(BOOK, self.respond),
            Endpoint.command(TAG, self.respond),
            Endpoint.command(RATE, self.respond),
            Endpoint.query(ECHO, self.respond),
            Endpoint.plain_query(GET, self._get),
        )
