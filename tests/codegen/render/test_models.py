"""Generated models: which JSON they accept, reject and write."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

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
    """Package of a contract with every kind of property."""
    events = {
        name: {"description": "It.", "data": {"$ref": f"#/$defs/{name}"}}
        for name in ("open", "closed")
    }
    return generated(contract_of(STATE, events=events, **{"$defs": DEFINITIONS}))


@pytest.fixture(scope="module")
def read(package: ModuleType) -> Read:
    """Function that validates the JSON of a state, as the runtime does."""
    adapter = TypeAdapter[Any](package.Thing)

    def run(**members: object) -> BaseModel:
        text = json.dumps({**WHOLE, **members})
        return adapter.validate_json(text, strict=True, by_alias=True, by_name=False)

    return run


def test_omitted_optional_field_is_not_written(read: Read) -> None:
    """An omitted optional field is None, a nullable one MISSING; the JSON has neither."""
    thing = read()
    assert thing.note is None
    assert thing.nick is MISSING
    assert not {"note", "nick"} & set(json.loads(thing.model_dump_json(by_alias=True)))


@pytest.mark.parametrize("member", ["note", "price", "done", "size", "tags", "shape", "limit"])
def test_optional_field_rejects_null(read: Read, member: str) -> None:
    """An optional field may be omitted, but must not be null."""
    with pytest.raises(ValidationError):
        read(**{member: None})


def test_nullable_field_accepts_null(read: Read) -> None:
    """A nullable field accepts null; its constraints apply to strings only."""
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
def test_values_are_not_coerced(read: Read, members: dict[str, Any]) -> None:
    """A value of another type, or outside the constraints, is rejected."""
    with pytest.raises(ValidationError):
        read(**members)


def test_integer_rejects_zero_fraction(read: Read) -> None:
    """1.0 is not accepted as an integer, although JSON Schema allows it."""
    with pytest.raises(ValidationError):
        read(count=1.0)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_number_must_be_finite(package: ModuleType, text: str) -> None:
    """NaN and infinity, which are not valid JSON, are rejected."""
    wire = f'{{"count": 1, "lastSeen": "2026-03-01T09:30:00Z", "price": {text}}}'
    with pytest.raises(ValidationError):
        package.Thing.model_validate_json(wire)


def test_json_accepts_alias_only(package: ModuleType, read: Read) -> None:
    """JSON has the names of the contract; Python has names in snake case."""
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


def test_reserved_field_names_are_renamed(read: Read) -> None:
    """Fields named like a keyword or a pydantic method get another name in Python."""
    thing = read(**{"class": "a", "model_dump": "b"})
    assert (thing.class_, thing.field_model_dump) == ("a", "b")
    assert json.loads(thing.model_dump_json(by_alias=True))["class"] == "a"


def test_default_from_contract(read: Read) -> None:
    """An omitted field with a default has the default of the contract."""
    assert read().limit == 10
    assert read(limit=3).limit == 3


def test_unknown_fields_stay_by_default(read: Read) -> None:
    """Without `additionalProperties` unknown fields are kept, and written again."""
    thing = read(more=1, line_total=[2])
    assert thing.model_extra == {"more": 1, "line_total": [2]}
    assert json.loads(thing.model_dump_json())["more"] == 1


def test_additional_properties_false_rejects_unknown(package: ModuleType, read: Read) -> None:
    """`additionalProperties: false` rejects unknown fields, also in a nested object."""
    with pytest.raises(ValidationError):
        read(size={"width": 1, "height": 2})
    with pytest.raises(ValidationError):
        package.Closed.model_validate_json('{"x": 1}')


def test_typed_additional_properties_are_kept(package: ModuleType) -> None:
    """`additionalProperties` with a schema validates and keeps unknown fields."""
    value = package.Open.model_validate_json('{"known": "a", "more": 1}')
    assert json.loads(value.model_dump_json()) == {"known": "a", "more": 1}
    with pytest.raises(ValidationError):
        package.Open.model_validate_json('{"more": "text"}')


def test_discriminated_union(package: ModuleType, read: Read) -> None:
    """The tag selects the class of a discriminated union, also for error locations."""
    assert isinstance(read(shape={"kind": "circle", "radius": 1}).shape, package.Circle)
    with pytest.raises(ValidationError) as caught:
        read(shape={"kind": "square", "radius": 1})
    assert caught.value.errors()[0]["loc"] == ("shape", "square", "side")


def test_recursive_schema(read: Read) -> None:
    """A recursive model can be nested to any depth."""
    tree = read(tree={"children": [{"children": [{}]}]}).tree
    assert tree.children[0].children[0].children is None


def test_nested_object_class_name(package: ModuleType) -> None:
    """The class of an inline object is named after its parent and its property."""
    assert issubclass(package.ThingSize, BaseModel)


def test_write_only_fields_are_hidden_in_repr(
    generated: Callable[..., ModuleType], contract_of: Callable[..., dict[str, Any]]
) -> None:
    """`writeOnly` values of any type are part of the JSON, but never of `repr()`."""
    secret = {"type": "string", "writeOnly": True}
    numbers = {"type": "array", "items": {"type": "integer", "writeOnly": True}}
    properties = {
        "user": {"type": "string"},
        "pin": {**secret, "minLength": 4},
        "hint": {**secret, "default": "s3cret"},
        "code": {**secret, "enum": ["s3cret", "other"]},
        "shown": {"type": "string", "writeOnly": False},
        "number": {"type": "integer", "writeOnly": True},
        "numbers": numbers,
        "maybe": {"anyOf": [secret, {"type": "null"}]},
        "map": {"type": "object", "additionalProperties": secret},
        "named": {"$ref": "#/$defs/pin"},
        "whole": {
            "type": "object",
            "writeOnly": True,
            "additionalProperties": False,
            "properties": {"text": {"type": "string"}},
        },
    }
    state = {
        "type": "object",
        "required": ["pin"],
        "additionalProperties": False,
        "properties": properties,
    }
    module = generated(contract_of(state) | {"$defs": {"pin": secret}})
    values = {
        "user": "ada",
        "pin": "s3cret",
        "hint": "s3cret",
        "code": "s3cret",
        "shown": "x",
        "number": 77123,
        "numbers": [77123],
        "maybe": "s3cret",
        "map": {"a": "s3cret"},
        "named": "s3cret",
        "whole": {"text": "s3cret"},
    }
    thing = module.Thing.model_validate_json(json.dumps(values))
    assert "s3cret" not in f"{thing!r} {thing}"
    assert "77123" not in f"{thing!r} {thing}"
    assert "ada" in repr(thing)
    assert json.loads(thing.model_dump_json()) == values


_PIN: Final = {"type": "string", "writeOnly": True}
_WITH_PIN: Final = {"properties": {"pin": _PIN}}
_MAP: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_OPEN: Final = {"type": "object", "properties": {"user": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (
            {**_OPEN, "if": {"required": ["user"]}, "then": _WITH_PIN},
            {"user": "a", "pin": "s3cret"},
        ),
        ({**_OPEN, "dependentSchemas": {"user": _WITH_PIN}}, {"user": "a", "pin": "s3cret"}),
        ({**_OPEN, "anyOf": [{"properties": {"user": _PIN}}, {}]}, {"user": "s3cret"}),
        ({**_OPEN, "patternProperties": {"^p": _PIN}}, {"pin": "s3cret"}),
        ({**_OPEN, "unevaluatedProperties": _PIN}, {"pin": "s3cret"}),
        ({"type": "object", "patternProperties": {"^p": _WITH_PIN}}, {"p": {"pin": "s3cret"}}),
        ({"type": "array", "contains": _WITH_PIN}, [{"pin": "s3cret"}]),
        ({"type": "array", "prefixItems": [{}], "unevaluatedItems": _PIN}, [1, "s3cret"]),
        ({"type": "array", "prefixItems": [{}, _WITH_PIN]}, [1, {"pin": "s3cret"}]),
        ({"anyOf": [{"type": "array", "items": _WITH_PIN}, {}]}, [{"pin": "s3cret"}]),
        (
            {"anyOf": [_MAP, {"type": "object", "properties": {"pin": _PIN}}]},
            {"pin": "s3cret"},
        ),
    ],
)
def test_write_only_values_without_a_field_are_hidden_in_repr(
    generated: Callable[..., ModuleType],
    contract_of: Callable[..., dict[str, Any]],
    schema: dict[str, Any],
    value: Any,
) -> None:
    """A member with a `writeOnly` value that no field of a model stands for is not shown."""
    state = {"type": "object", "properties": {"kept": schema, "shown": {"type": "string"}}}
    module = generated(contract_of(state))
    thing = module.Thing.model_validate_json(json.dumps({"kept": value, "shown": "ada"}))
    assert "s3cret" not in f"{thing!r} {thing}"
    assert "ada" in repr(thing)


_IN: Final[dict[str, Any]] = {"type": "object", "properties": {"pin": {"type": "string"}}}
_WITH_IN: Final = {"properties": {"in": _WITH_PIN}}


@pytest.mark.parametrize(
    ("keywords", "value"),
    [
        ({"then": _WITH_PIN, "if": {}}, {"pin": "s3cret"}),
        ({"else": _WITH_PIN, "if": False}, {"pin": "s3cret"}),
        ({"dependentSchemas": {"user": _WITH_PIN}}, {"pin": "s3cret"}),
        ({"anyOf": [_WITH_PIN, {}]}, {"pin": "s3cret"}),
        ({"oneOf": [_WITH_PIN, {"required": ["other"]}]}, {"pin": "s3cret"}),
        ({"allOf": [_WITH_PIN]}, {"pin": "s3cret"}),
        ({"$ref": "#/$defs/withPin"}, {"pin": "s3cret"}),
        ({"patternProperties": {"^p": _PIN}}, {"pin": "s3cret"}),
        ({"additionalProperties": _PIN}, {"pin": "s3cret"}),
        ({"additionalProperties": _PIN, "required": ["pin"]}, {"pin": "s3cret"}),
        ({"unevaluatedProperties": _PIN}, {"pin": "s3cret"}),
        ({"patternProperties": {"^u": _PIN}}, {"user": "s3cret"}),
        ({"if": {}, "then": {"patternProperties": {"^u": _PIN}}}, {"user": "s3cret"}),
        ({"if": {}, "then": {"additionalProperties": _PIN}}, {"user": "s3cret"}),
        ({"properties": {"in": _IN}, "if": {}, "then": _WITH_IN}, {"in": {"pin": "s3cret"}}),
        ({"properties": {"in": {}}, "if": {}, "then": _WITH_IN}, {"in": {"pin": "s3cret"}}),
        ({"properties": {"in": {"writeOnly": True, **_IN}}}, {"in": {"pin": "s3cret"}}),
        ({"writeOnly": True}, {"user": "s3cret"}),
        ({"allOf": [{"writeOnly": True}]}, {"user": "s3cret"}),
        ({"if": {}, "then": {"writeOnly": True}}, {"user": "s3cret"}),
        ({"$ref": "#/$defs/secret"}, {"user": "s3cret"}),
    ],
    ids=json.dumps,
)
def test_write_only_values_of_a_class_are_hidden_in_its_repr(
    generated: Callable[..., ModuleType],
    contract_of: Callable[..., dict[str, Any]],
    keywords: dict[str, Any],
    value: Any,
) -> None:
    """Whatever keyword makes a member `writeOnly`: neither its class nor one inside shows it."""
    properties = {"user": {"type": "string"}, "shown": {"type": "integer"}}
    state = {"type": "object", **keywords}
    state["properties"] = properties | keywords.get("properties", {})
    module = generated(
        contract_of(state)
        | {"$defs": {"withPin": _WITH_PIN, "secret": {"type": "object", "writeOnly": True}}}
    )
    thing = TypeAdapter(module.Thing).validate_python({"user": "ada", "shown": 77123, **value})
    models = [each for each in (thing, getattr(thing, "in_", None)) if isinstance(each, BaseModel)]
    assert models
    assert "s3cret" not in " ".join(f"{each!r} {each}" for each in models)


def test_members_are_shown_where_nothing_in_them_is_write_only(
    generated: Callable[..., ModuleType], contract_of: Callable[..., dict[str, Any]]
) -> None:
    """One secret does not hide what is beside it, nor the object that has it as a member."""
    login = {"type": "object", "properties": {"user": {"type": "string"}, "pin": _PIN}}
    rows = {"type": "array", "items": {"type": "object", "additionalProperties": login}}
    state = {"type": "object", "properties": {"login": login, "rows": rows}}
    thing = generated(contract_of(state)).Thing.model_validate(
        {"login": {"user": "ada", "pin": "s3cret"}, "rows": [{"k": {"user": "eve"}}]}
    )
    assert repr(thing) == (
        "Thing(login=ThingLogin(user='ada'), rows=[{'k': ThingRowsItemValue(user='eve')}])"
    )
