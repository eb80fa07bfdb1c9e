"""Which optional members are None when they are absent, and which are MISSING."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import MISSING, TypeAdapter, ValidationError

from weenats.codec.parts import Encoder
from weenats_codegen.ir.shapes import shape as shape_of
from weenats_codegen.render.omit_none import omit_none, refuses_null

ANY = {"customTypePath": "pydantic.JsonValue"}
NAMED: dict[str, Any] = {
    "Text": {"type": "string"},
    "Nullable": {"type": ["string", "null"]},
    "Alias": {"$ref": "#/$defs/Text"},
    "Thing": {"type": "object", "properties": {"self": {"$ref": "#/$defs/Thing"}}},
    "Heir": {"allOf": [{"$ref": "#/$defs/Thing"}]},
}


@pytest.mark.parametrize(
    ("shape", "refuses"),
    [
        ({"type": "string"}, True),
        ({"type": ["string", "null"]}, False),
        ({"type": "null"}, False),
        ({"enum": ["a", 5]}, True),
        ({"enum": ["a", None]}, False),
        (ANY, False),
        ({"customTypePath": "weenats.formats.date", "type": "string"}, True),
        ({"type": "array", "items": ANY}, True),
        ({"$ref": "#/$defs/Text"}, True),
        ({"$ref": "#/$defs/Alias"}, True),
        ({"$ref": "#/$defs/Nullable"}, False),
        ({"$ref": "#/$defs/Thing"}, True),
        ({"$ref": "#/$defs/Heir"}, True),
        ({"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Text"}, {"enum": [1]}]}, True),
        ({"anyOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]}, False),
        ({"anyOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/$defs/Nullable"}]}, False),
    ],
)
def test_shapes_that_refuse_null(shape: Any, refuses: bool) -> None:
    """Only a shape that provably refuses null does."""
    assert refuses_null(shape, NAMED) is refuses


_PARTS = st.recursive(
    st.sampled_from([
        {}, {"type": "string"}, {"type": "null"}, {"type": ["null", "integer"]},
        {"enum": [None, 1]}, {"enum": [1]}, {"const": None}, {"const": 0},
        {"$ref": "#/$defs/Nullable"}, {"$ref": "#/$defs/Text"},
    ]),
    lambda part: st.builds(
        lambda keyword, parts: {keyword: parts},
        st.sampled_from(["anyOf", "oneOf", "allOf"]),
        st.lists(part, min_size=1, max_size=3),
    ),
)  # fmt: skip


@given(_PARTS)
def test_shape_that_refuses_null_accepts_no_null(schema: Any) -> None:
    """If the shape of a schema refuses null, so does the schema."""
    definitions = {**{name: NAMED[name] for name in ("Nullable", "Text")}, "Root": schema}
    shapes = shape_of(definitions, definitions).definitions
    if refuses_null(shapes["Root"], shapes):
        document = {"$defs": definitions, "$ref": "#/$defs/Root"}
        assert not Draft202012Validator(document).is_valid(None)


def test_other_fields_stay_as_they_are() -> None:
    """Fields of other classes, with other values or that include None are not changed."""
    lines = [
        "from pydantic import MISSING",
        "class A:",
        "    a: str | MISSING = MISSING",
        "    b: str | None | MISSING = MISSING",
        '    c: str = "MISSING"',
        "    d: str",
        "    é: Union['A', MISSING] = MISSING",
        "    f: Union[Optional['A'], MISSING] = MISSING",
        "class B:",
        "    a: str | MISSING = MISSING",
    ]
    source = "\n".join(lines)
    assert omit_none(source, ()) == source
    lines[2] = "    a: Annotated[str | None, OMIT_NONE] = None"
    lines[6] = "    é: Annotated[Union['A', None], OMIT_NONE] = None"
    imports = ["from typing import Annotated", "from weenats.model import OMIT_NONE"]
    changed = omit_none(source, {("A", name) for name in "abcdéf"})
    assert changed.splitlines() == [*imports, *lines]


STATE: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "minLength": 2},
        "camelCase": {"type": "integer", "minimum": 0, "description": "A number."},
        "price": {"type": "number"},
        "when": {"type": "string", "format": "date-time"},
        "kind": {"enum": ["a", "b"]},
        "list": {"type": "array", "items": {"type": ["string", "null"]}, "minItems": 1},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "nested": {"type": "object", "properties": {"x": {"type": "integer"}}},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "tagged": {
            "oneOf": [{"$ref": "#/$defs/circle"}, {"$ref": "#/$defs/square"}],
            "discriminator": {"propertyName": "kind"},
        },
        "alias": {"$ref": "#/$defs/text"},
        "tree": {"$ref": "#/$defs/tree"},
        "secret": {"type": "string", "writeOnly": True},
        "nullable": {"type": ["string", "null"]},
        "nullableAlias": {"$ref": "#/$defs/maybe"},
        "withDefault": {"type": "integer", "default": 3},
    },
}
SHAPES: dict[str, Any] = {
    name: {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"const": name}, "size": {"type": "number"}},
    }
    for name in ("circle", "square")
}
VALUES: dict[str, Any] = {
    "text": "ab",
    "camelCase": 5,
    "price": 1.5,
    "when": "2026-03-01T09:30:00Z",
    "kind": "a",
    "list": [None, "x"],
    "map": {"a": 1},
    "nested": {"x": 1},
    "either": 7,
    "tagged": {"kind": "square", "size": 1.0},
    "alias": "abc",
    "tree": {"children": [{}]},
    "secret": "s",
}
THREE_STATES = ("nullable", "nullableAlias")
Decode = Callable[..., Any]


@pytest.fixture(scope="module")
def package(generated: Callable[..., Any], contract_of: Callable[..., Any]) -> ModuleType:
    """The package of a contract with every kind of optional member."""
    definitions = {
        **SHAPES,
        "text": {"type": "string", "maxLength": 3},
        "maybe": {"type": ["string", "null"], "maxLength": 3},
        "tree": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
        },
    }
    return generated(contract_of(STATE, **{"$defs": definitions}))


@pytest.fixture(scope="module")
def decode(package: ModuleType) -> Decode:
    """Function that validates JSON as the runtime does."""
    adapter = TypeAdapter[Any](package.Thing)

    def run(**members: object) -> Any:
        return adapter.validate_json(json.dumps(members), by_name=False)

    return run


def attribute(package: ModuleType, name: str) -> str:
    """Return the attribute of a member."""
    fields = package.Thing.model_fields
    (found,) = [each for each, info in fields.items() if (info.alias or each) == name]
    return str(found)


@pytest.mark.parametrize("name", VALUES)
def test_absent_member_is_none(package: ModuleType, decode: Decode, name: str) -> None:
    """An absent member is None, null is refused, a value is kept, and None is not written."""
    field = attribute(package, name)
    assert getattr(decode(), field) is None
    with pytest.raises(ValidationError):
        decode(**{name: None})
    thing = decode(**{name: VALUES[name]})
    assert getattr(thing, field) is not None
    written = json.loads(Encoder(package.Thing).encode(thing))
    assert written == {name: VALUES[name], "withDefault": 3}
    for empty in (decode(), package.Thing(**{field: None}), package.Thing(**{name: None})):
        assert json.loads(Encoder(package.Thing).encode(empty)) == {"withDefault": 3}
        assert empty.model_dump() == {"withDefault": 3}
        assert not getattr(empty, field)


@pytest.mark.parametrize("name", THREE_STATES)
def test_nullable_member_has_three_states(package: ModuleType, decode: Decode, name: str) -> None:
    """An absent nullable member is MISSING, since None is null; each state is written as read."""
    field = attribute(package, name)
    for members, value in (({}, MISSING), ({name: None}, None), ({name: "x"}, "x")):
        thing = decode(**members)
        assert getattr(thing, field) is value or getattr(thing, field) == value
        assert json.loads(Encoder(package.Thing).encode(thing)) == {**members, "withDefault": 3}


@pytest.mark.parametrize(
    ("name", "value"), [("text", "a"), ("camelCase", -1), ("list", []), ("alias", "abcd")]
)
def test_bounds_hold(package: ModuleType, decode: Decode, name: str, value: Any) -> None:
    """The bounds of a member hold in JSON and in Python."""
    with pytest.raises(ValidationError):
        decode(**{name: value})
    with pytest.raises(ValidationError):
        package.Thing(**{name: value})


def test_model_is_copied_and_pickled_whole(package: ModuleType, decode: Decode) -> None:
    """None and MISSING survive."""
    thing = decode(text="ab")
    for again in (copy.copy(thing), copy.deepcopy(thing), thing.model_copy(deep=True)):
        assert again == thing
        assert again.nullable is MISSING
        assert Encoder(package.Thing).encode(again) == Encoder(package.Thing).encode(thing)
    assert pickle.loads(pickle.dumps(decode(**VALUES)))  # noqa: S301 - our own


def test_secret_stays_out_of_repr(decode: Decode) -> None:
    """A writeOnly member is not shown."""
    assert "hunter2" not in repr(decode(secret="hunter2"))


def test_annotations_say_none(package: ModuleType) -> None:
    """Editors and type checkers see `T | None`."""
    kind = package.Thing.model_fields["camel_case"].annotation
    assert set(get_args(kind)) == {int, type(None)}
