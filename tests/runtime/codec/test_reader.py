"""Reading messages of many values, most of which are invalid."""

from __future__ import annotations

from time import process_time
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, ConfigDict, Field, ValidationError
from typing_extensions import TypeAliasType

from testkit.wire import dump
from weenats import Model
from weenats.codec.reader import Reader
from weenats.codec.violations import SchemaError
from weenats.model import OMIT_NONE

VISITED: list[str] = []
MANY = 20_000


class Item(Model):
    """A part of a large message."""

    a: Annotated[str, AfterValidator(lambda text: VISITED.append(text) or text)]
    b: str
    c: str
    d: str


class Listed(Model):
    """A message with a list."""

    items: list[Item]


class Mapped(Model):
    """A message with a map."""

    items: dict[str, Item]


class Extended(Model):
    """A message with members that are not declared, all of one type."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Item]


class Tree(Model):
    """A message that refers to itself."""

    items: dict[str, Tree] = Field(default_factory=dict)


Letter = TypeAliasType("Letter", Literal["a", "b"])
Always = TypeAliasType("Always", Literal[True])


class Listing(Model):
    """A message with named literals."""

    first: Letter
    last: Letter | None = None
    flag: Annotated[Always | None, OMIT_NONE] = None
    rest: list[Letter] = Field(default_factory=list)


WHOLE = {"a": "x", "b": "", "c": "", "d": ""}
SHAPES: dict[type[Model], Any] = {
    Listed: lambda items: {"items": items},
    Mapped: lambda items: {"items": {str(key): each for key, each in enumerate(items)}},
    Extended: lambda items: {str(key): each for key, each in enumerate(items)},
}


@pytest.mark.slow
@pytest.mark.parametrize("model", SHAPES)
def test_large_messages_are_read_as_small_ones(model: type[Model]) -> None:
    """A message of many values is accepted or refused by the rules of its type."""
    reader, make = Reader(model), SHAPES[model]
    for count in (1, MANY):
        valid = dump(make([WHOLE] * count))
        assert reader.decode(valid) == model.model_validate_json(valid)
        for spoilt in ({"a": "x"}, {**WHOLE, "b": 5}, 5, None):
            with pytest.raises(ValueError):  # noqa: PT011 - SchemaError or ValidationError
                reader.decode(dump(make([*[WHOLE] * (count - 1), spoilt])))


def test_recursive_types_are_read() -> None:
    """Types that refer to themselves keep their references."""
    inner = {"items": {str(key): {} for key in range(MANY)}}
    reader, valid = Reader(Tree), dump({"items": {"a": inner}})
    assert reader.decode(valid) == Tree.model_validate_json(valid)
    with pytest.raises(SchemaError, match="too many values"):
        reader.decode(dump({"items": {"a": inner, "b": {"items": 5}}}))


def test_named_literals_are_read_wherever_they_are_used() -> None:
    """A literal that several members, or optional ones, refer to by its name is read as others."""
    reader = Reader(Listing)
    for many in (1, MANY):
        data = dump({"first": "a", "flag": True, "rest": ["b"] * many})
        assert reader.read(data).rest == ["b"] * many
        for other in (dump({"first": "c"}), dump({"first": "a", "rest": [True] * many})):
            with pytest.raises((SchemaError, ValidationError)):
                reader.decode(other)


def test_reading_a_list_ends_with_its_first_invalid_item() -> None:
    """The items that follow an invalid one are not looked at."""
    reader = Reader(Listed)
    VISITED.clear()
    with pytest.raises(SchemaError):
        reader.decode(dump({"items": [{"a": "only"}] * MANY}))
    assert VISITED == ["only"]


@pytest.mark.timing
@pytest.mark.parametrize("model", SHAPES)
def test_invalid_items_cost_no_more_than_valid_ones(model: type[Model]) -> None:
    """Missing members of each item are not collected: that would take seconds and gigabytes."""
    reader, make = Reader(model), SHAPES[model]
    valid, spoilt = dump(make([WHOLE] * MANY)), dump(make([{}] * MANY * 10))
    begun = process_time()
    reader.decode(valid)
    enough = process_time() - begun
    with pytest.raises(SchemaError):
        reader.decode(spoilt)
    assert process_time() - begun < 10 * enough
