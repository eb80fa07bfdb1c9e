# ruff: noqa: D101, UP037, UP045, PYI061 - models as people write them
"""The JSON Schemas that pydantic writes become packages, and are exact."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import ipaddress
import uuid
from pathlib import Path
from random import Random
from typing import Annotated, Any, Final, Literal, NotRequired, Optional

import pytest
from pydantic import (
    AnyUrl,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PositiveInt,
    RootModel,
    SecretStr,
)
from typing_extensions import TypedDict

from testkit.json_schemas.comparison import Case, compare
from testkit.json_schemas.documents import documents


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Address(BaseModel):
    street: str = Field(min_length=1)
    code: Annotated[str, Field(pattern=r"^\d{5}$")] = "12345"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Fox(BaseModel):
    kind: Literal["fox", "vixen"]
    name: str


class Optionals(BaseModel):
    number: int
    text: Optional[str] = None
    either: int | str | None = None
    color: Color = Color.RED
    level: Level = Level.LOW
    things: list[Address] = []
    prices: dict[str, float] = {}


class Formats(BaseModel):
    model_config = ConfigDict(extra="forbid", title="Some title")
    moment: dt.datetime
    day: dt.date
    time: dt.time | None = None
    span: dt.timedelta = dt.timedelta(1)
    id: uuid.UUID
    amount: decimal.Decimal
    data: bytes = b""
    four: ipaddress.IPv4Address | None = None
    six: ipaddress.IPv6Address | None = None
    url: AnyUrl
    secret: SecretStr
    encoded: Base64Bytes


class Unions(BaseModel):
    pet: Annotated[Cat | Fox, Field(discriminator="kind")]
    pets: list[Annotated[Cat | Fox, Field(discriminator="kind")]]


class Collections(BaseModel):
    pair: tuple[int, str]
    many: tuple[int, ...]
    numbers: set[int]
    names: frozenset[str]
    anything: Any
    value: JsonValue
    by_number: dict[int, str]
    by_color: dict[Color, int]


class Tree(BaseModel):
    parent: Optional["Tree"] = None
    children: list["Tree"] = []


class Bounds(BaseModel):
    step: Annotated[int, Field(ge=0, lt=10, multiple_of=3)]
    share: Annotated[float, Field(gt=0, le=1)]
    half: Annotated[float, Field(multiple_of=0.5)] = 1.0
    few: Annotated[list[int], Field(min_length=1, max_length=3)]
    some: Annotated[dict[str, int], Field(min_length=1)]
    positive: PositiveInt


class Addresses(RootModel[list[Address]]):
    pass


class ByName(RootModel[dict[str, Address | None]]):
    pass


class Scalar(RootModel[int | str]):
    pass


class Aliases(BaseModel):
    model_config = ConfigDict(populate_by_name=True, extra="allow")
    old: int = Field(alias="someName", deprecated=True, description="Some.")
    older: Annotated[str, Field(deprecated="use x")] = "x"


class Extra(BaseModel):
    __pydantic_extra__: dict[str, int]
    model_config = ConfigDict(extra="allow")
    a: str


class Named(TypedDict):
    a: int
    b: NotRequired[str]


class WithTypedDict(BaseModel):
    named: Named
    maybe: Named | None = None


class Empty(BaseModel):
    pass


class Constants(BaseModel):
    only: Literal["only"] = "only"
    true: Literal[True] = True
    nothing: None = None
    mixed: Literal[1, 2, "x"]
    may_be_null: Literal[None, "a"] = None


class Longer(Address):
    more: int


class References(BaseModel):
    described: Address = Field(description="A reference with a description.")
    default: Address = Address(street="y")


class Leaf(BaseModel):
    value: float


class Node(BaseModel):
    left: "Node | Leaf"
    right: "Node | Leaf"


_MODELS: Final[tuple[type[BaseModel], ...]] = (
    *(Optionals, Formats, Unions, Collections, Tree, Bounds, Addresses, ByName, Scalar, Aliases),
    *(Extra, WithTypedDict, Empty, Constants, Longer, References, Leaf, Node),
)


@pytest.mark.slow
def test_schemas_that_pydantic_writes(tmp_path: Path) -> None:
    """Those of every model, in both modes, take and send exactly what they allow."""
    random = Random(0)  # noqa: S311 - the same documents in each run
    schemas = [
        model.model_json_schema(mode=mode)
        for model in _MODELS
        for mode in ("validation", "serialization")
    ]
    cases = [Case(schema, tuple(documents(schema, random, 20))) for schema in schemas]
    tally = compare(cases, tmp_path)
    assert not tally.disagreements, "\n".join(map(str, tally.disagreements))
    assert tally.valid > 100
