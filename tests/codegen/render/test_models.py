"""Generated models: what they accept from the wire and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from pydantic import MISSING, BaseModel, TypeAdapter, ValidationError

STATE: dict[str, Any] = {
    "type": "object",
    "required": ["count", "lastSeen"],
    "properties": {
        "count": {"type": "integer", "minimum": 0},
        "lastSeen": {"type": "string", "format": "date-time"},
        "note": {"type": "string", "minLength": 1},
        "price": {"type": "number"},
        "done": {"type": "boolean"},
        "nick": {"type": ["string", "null"], "minLength": 2},
        "limit": {"type": "integer", "default": 10},
        "class": {"type": "string"},
        "model_dump": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 3}},
        "size": {
            "type": "object",
            "required": ["width"],
            "properties": {"width": {"type": "number"}},
            "additionalProperties": False,
        },
        "shape": {"$ref": "#/$defs/shape"},
        "tree": {"$ref": "#/$defs/tree"},
    },
}
DEFINITIONS: dict[str, Any] = {
    "circle": {
        "type": "object",
        "required": ["kind", "radius"],
        "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}},
    },
    "square": {
        "type": "object",
        "required": ["kind", "side"],
        "properties": {"kind": {"const": "square"}, "side": {"type": "number"}},
    },
    "shape": {
        "oneOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/square"}],
        "discriminator": {"propertyName": "kind"},
    },
    "tree": {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
    },
    "open": {
        "type": "object",
        "properties": {"known": {"type": "string"}},
        "additionalProperties": {"type": "integer"},
    },
    "closed": {"type": "object", "additionalProperties": False},
}
WHOLE = {"count": 1, "lastSeen": "2026-03-01T09:30:00.125Z"}
Read = Callable[..., Any]


@pytest.fixture(scope="module")
def package(generated: Callable[..., Any], contract_of: Callable[..., Any]) -> ModuleType:
    """The package of a contract with every kind of member."""
    events = {
        name: {"description": "It.", "data": {"$ref": f"#/$defs/{name}"}}
        for name in ("open", "closed")
    }
    return generated(contract_of(STATE, events=events, **{"$defs": DEFINITIONS}))


@pytest.fixture(scope="module")
def read(package: ModuleType) -> Read:
    """Reads a state from the wire, as the runtime does."""
    adapter = TypeAdapter[Any](package.Thing)

    def run(**members: object) -> BaseModel:
        text = json.dumps({**WHOLE, **members})
        return adapter.validate_json(text, strict=True, by_alias=True, by_name=False)

    return run


def test_an_optional_member_is_missing_when_it_is_left_out(read: Read) -> None:
    """A missing member is MISSING, and is not serialized."""
    thing = read()
    assert thing.note is MISSING
    assert thing.nick is MISSING
    assert "note" not in json.loads(thing.model_dump_json(by_alias=True))


@pytest.mark.parametrize("member", ["note", "price", "done", "size", "tags", "shape", "limit"])
def test_an_optional_member_refuses_null(read: Read, member: str) -> None:
    """A missing member is different from null."""
    with pytest.raises(ValidationError):
        read(**{member: None})


def test_a_nullable_member_takes_null(read: Read) -> None:
    """Null is different from a missing member, and bounds apply to strings only."""
    assert read(nick=None).nick is None
    assert read(nick="ab").nick == "ab"
    with pytest.raises(ValidationError):
        read(nick="a")


@pytest.mark.parametrize(
    "members",
    [
        {"count": "1"},
        {"count": True},
        {"count": 1.5},
        {"count": -1},
        {"price": "1"},
        {"price": True},
        {"done": 1},
        {"done": "true"},
        {"note": 1},
        {"note": ""},
        {"tags": "abc"},
        {"tags": ["long"]},
        {"lastSeen": 1700000000},
    ],
)
def test_nothing_is_coerced(read: Read, members: dict[str, Any]) -> None:
    """A value of another type, or out of bounds, is refused."""
    with pytest.raises(ValidationError):
        read(**members)


def test_an_integer_with_a_fraction_part_of_zero_is_refused(read: Read) -> None:
    """1.0 is not an integer, unlike in JSON Schema."""
    with pytest.raises(ValidationError):
        read(count=1.0)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_number_is_finite(package: ModuleType, text: str) -> None:
    """NaN and infinities are refused."""
    wire = f'{{"count": 1, "lastSeen": "2026-03-01T09:30:00Z", "price": {text}}}'
    with pytest.raises(ValidationError):
        package.Thing.model_validate_json(wire)


def test_a_wire_name_is_accepted_by_alias_only(package: ModuleType, read: Read) -> None:
    """The wire has the names of the contract, Python those of the model."""
    with pytest.raises(ValidationError):
        TypeAdapter[Any](package.Thing).validate_json(
            '{"count": 1, "last_seen": "2026-03-01T09:30:00Z"}',
            strict=True,
            by_alias=True,
            by_name=False,
        )
    seen = read().last_seen
    assert package.Thing(count=1, last_seen=seen).model_dump_json(by_alias=True) == (
        '{"count":1,"lastSeen":"2026-03-01T09:30:00.125000Z","limit":10}'
    )


def test_names_that_python_has_taken_are_mended(read: Read) -> None:
    """Members named like keywords or methods of pydantic get other attributes."""
    thing = read(**{"class": "a", "model_dump": "b"})
    assert (thing.class_, thing.field_model_dump) == ("a", "b")
    assert json.loads(thing.model_dump_json(by_alias=True))["class"] == "a"


def test_a_default_is_what_the_contract_says(read: Read) -> None:
    """A missing member has its default."""
    assert read().limit == 10
    assert read(limit=3).limit == 3


def test_unknown_members_are_ignored_where_the_contract_says_nothing(read: Read) -> None:
    """Without `additionalProperties`, other members are dropped."""
    assert not hasattr(read(more=1), "more")


def test_unknown_members_are_refused_where_the_contract_forbids_them(
    package: ModuleType, read: Read
) -> None:
    """`additionalProperties: false` is enforced, also in nested objects."""
    with pytest.raises(ValidationError):
        read(size={"width": 1, "height": 2})
    with pytest.raises(ValidationError):
        package.Closed.model_validate_json('{"x": 1}')


def test_unknown_members_are_kept_where_the_contract_types_them(package: ModuleType) -> None:
    """`additionalProperties` with a schema keeps other members of that type."""
    value = package.Open.model_validate_json('{"known": "a", "more": 1}')
    assert json.loads(value.model_dump_json()) == {"known": "a", "more": 1}
    with pytest.raises(ValidationError):
        package.Open.model_validate_json('{"more": "text"}')


def test_a_choice_is_made_by_its_tag(package: ModuleType, read: Read) -> None:
    """A discriminated union results in the class of the branch, and in its errors."""
    assert isinstance(read(shape={"kind": "circle", "radius": 1}).shape, package.Circle)
    with pytest.raises(ValidationError) as caught:
        read(shape={"kind": "square", "radius": 1})
    assert caught.value.errors()[0]["loc"] == ("shape", "square", "side")


def test_a_schema_may_hold_itself(read: Read) -> None:
    """Recursive models are supported."""
    tree = read(tree={"children": [{"children": [{}]}]}).tree
    assert tree.children[0].children[0].children is MISSING


def test_nested_objects_have_classes_named_after_their_place(package: ModuleType) -> None:
    """An inline object is named after its parent and its member."""
    assert issubclass(package.ThingSize, BaseModel)


def test_secrets_stay_out_of_repr(
    generated: Callable[..., ModuleType], contract_of: Callable[..., dict[str, Any]]
) -> None:
    """A `writeOnly` string is serialized, but not part of repr."""
    secret = {"type": "string", "writeOnly": True}
    properties = {
        "user": {"type": "string"},
        "pin": {**secret, "minLength": 4},
        "hint": {**secret, "default": "s3cret"},
        "code": {**secret, "enum": ["s3cret", "other"]},
        "shown": {"type": "string", "writeOnly": False},
    }
    module = generated(
        contract_of({"type": "object", "required": ["pin"], "properties": properties})
    )
    values = {"user": "ada", "pin": "s3cret", "hint": "s3cret", "code": "s3cret", "shown": "x"}
    thing = module.Thing.model_validate_json(json.dumps(values))
    assert "s3cret" not in f"{thing!r} {thing}"
    assert "ada" in repr(thing)
    assert json.loads(thing.model_dump_json()) == values
