"""Shapes of schemas: their names, their form, and what they leave to the judge."""

from __future__ import annotations

from typing import Any

import pytest

from testkit.models import Models
from weenats_codegen.ir.shapes import Shapes, shape

ANY = {"customTypePath": "pydantic.JsonValue"}
BOUNDED = {"type": "string", "minLength": 1}
MAP = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}


def members(**properties: Any) -> dict[str, Any]:
    """Return an object schema."""
    return {"type": "object", "properties": properties}


def tagged(tag: str, *branches: Any) -> dict[str, Any]:
    """Return a union whose branches are told apart by a member."""
    return {"anyOf": [*branches], "discriminator": {"propertyName": tag}}


def ref(name: str) -> dict[str, Any]:
    """Return a reference."""
    return {"$ref": f"#/$defs/{name}"}


def shapes_of(root: Any, **definitions: Any) -> Shapes:
    """Return the shapes of a schema, and of the definitions that it refers to."""
    return shape({"Root": root, **definitions}, ["Root"])


OBJECT = members(a=BOUNDED)


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (members(a=OBJECT), ["RootA"]),
        (members(a=members(b=OBJECT)), ["RootA", "RootAB"]),
        (members(a={"type": "array", "items": OBJECT}), ["RootAItem"]),
        (members(a={"type": "array", "items": BOUNDED}), ["RootAItem"]),
        (members(a={"type": "array", "items": {"type": "string"}}), []),
        (members(a={"type": "object", "additionalProperties": OBJECT}), ["RootAValue"]),
        (members(a={"oneOf": [{"title": "Big one", **OBJECT}, {"type": "null"}]}), ["RootA"]),
        (members(a={"anyOf": [members(k={"const": "x-y"}), OBJECT]}), ["RootAOption2", "RootAXY"]),
        (members(a=tagged("k", {"allOf": [OBJECT, members(k={"enum": ["x"]})]},
                          {"allOf": [OBJECT, members(k={"enum": ["y", "z"]})]})),
         ["RootA", "RootAX", "RootAY"]),  # as branches of a discriminator with a mapping
        (members(a=tagged("k", *(members(v={"const": "v1"}, k={"const": each}) for each in "xy"))),
         ["RootA", "RootAX", "RootAY"]),
        (members(a={**members(all={"const": "x"}), "anyOf": [OBJECT, members(b=BOUNDED)]}),
         ["RootAOption1", "RootAOption2"]),
        (members(a={"anyOf": [{"title": "--", **OBJECT}, {"type": "array"}]}), ["RootAOption1"]),
        (members(a={"type": ["string", "integer"], "minimum": 1}), ["RootAInteger"]),
        (members(a={"type": ["object", "null"], "properties": {"b": BOUNDED}}), ["RootA"]),
        (members(a={"anyOf": [BOUNDED, {"type": "null"}]}), []),
        (members(a={"allOf": [OBJECT, members(b=OBJECT)]}), ["RootA", "RootAB"]),
        (members(a={"type": "object", "additionalProperties": False}), ["RootA"]),
        (members(a={**MAP, "type": ["object", "null"]}), ["RootA"]),
        (members(a=MAP), []),
        (members(a={"items": False, "prefixItems": [OBJECT], "minItems": 1, "type": "array"}),
         ["RootAItem1"]),
        (members(**{"a-b": OBJECT, "a_b": OBJECT}), ["RootAB", "RootAB2"]),
        ({"type": ["object", "null"], "properties": {"b": BOUNDED}}, ["RootObject"]),
        (True, []),
    ],
)  # fmt: skip
def test_names_follow_the_place_in_the_schema(schema: Any, names: list[str]) -> None:
    """Classes, and values with bounds in unions and lists, are named by their place."""
    assert sorted(shapes_of(schema).definitions) == ["Root", *names]


def test_names_that_are_taken_are_avoided() -> None:
    """A class inside another avoids the names of definitions, and those that are taken."""
    definitions = {"Root": members(a=OBJECT, b=OBJECT, c=ref("RootA")), "RootA": OBJECT}
    found = shape(definitions, ["Root"], taken={"RootB"})
    assert sorted(found.definitions) == ["Root", "RootA", "RootA2", "RootB2"]


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (members(a={"uniqueItems": True, "type": "array"}), ["Root#/properties/a/uniqueItems"]),
        ({"type": "array", "items": {"not": {}}}, ["Root#/items/not"]),
        (members(**{"a/b": False}), ["Root#/properties/a~1b"]),
        ({"allOf": [{"pattern": "^a"}, {"pattern": "b"}], "type": "string"}, ["Root#/pattern"]),
        ({"type": "string", "uniqueItems": True, "minimum": 5}, []),
        (members(a=ref("Other"), b=ref("Other")), ["Other#/not"]),
    ],
)
def test_reasons_name_the_keywords(schema: Any, found: list[str]) -> None:
    """What a model does not enforce is named by its place; keywords of other types do nothing."""
    shapes = shapes_of(schema, Other={"not": {"type": "null"}}, Unused={"not": {}})
    assert [f"{each.definition}#{each.pointer}" for each in shapes.reasons["Root"]] == found
    assert shapes.is_exact("Root") == (found == [])


def test_plain_open_parts_are_base_classes() -> None:
    """Classes inherit from definitions whose members are not theirs, and merge others."""
    base, other = members(a={"type": "string"}), members(b={"type": "string"})
    heir = {"allOf": [ref("Base"), ref("Other"), members(c={"type": "integer"})]}
    parts = shapes_of(heir, Base=base, Other=other).definitions["Root"]["allOf"]
    assert [part.get("$ref") for part in parts] == ["#/$defs/Base", "#/$defs/Other", None]
    for more in ({"additionalProperties": False}, members(a={"maxLength": 5}), {"required": ["a"]}):
        merged = shapes_of({"allOf": [ref("Base"), ref("Other"), more]}, Base=base, Other=other)
        assert "allOf" not in merged.definitions["Root"]


def test_closed_parts_close_the_whole() -> None:
    """`additionalProperties` of each part applies to the members that it does not declare."""
    one = {**members(a={"type": "string"}), "additionalProperties": False}
    other = {**members(b={"type": "string"}), "additionalProperties": {"minLength": 1}}
    root = shapes_of({"allOf": [one, other]}).definitions["Root"]
    assert root["additionalProperties"] is False
    assert root["properties"] == {"a": {"type": "string", "minLength": 1}}


def test_recursive_parts_are_merged_once() -> None:
    """Parts that refer to themselves are merged into one class that refers to itself."""
    tree = members(next=ref("Tree"), name={"type": "string"})
    strict = members(next=ref("Strict"), name={"minLength": 1})
    shapes = shapes_of({"allOf": [ref("Tree"), ref("Strict")]}, Tree=tree, Strict=strict)
    assert sorted(shapes.definitions) == ["Root"]
    assert shapes.is_exact("Root")
    assert shapes.definitions["Root"]["properties"]["next"] == ref("Root")


def test_deep_combinations_are_cut() -> None:
    """Parts with many levels are combined down to one of them, and left to the judge there."""
    one: Any = {"type": "string"}
    other: Any = {"minLength": 1}
    for _ in range(30):
        one, other = members(x=one), members(x=other)
    shapes = shapes_of({"allOf": [one, other]})
    assert not shapes.is_exact("Root")
    assert 5 < len(shapes.definitions) < 20


@pytest.mark.parametrize(
    ("tags", "attribute"),
    [
        ([{"const": "a"}, {"enum": ["b", "c"]}], "kind"),
        ([ref("A"), {"const": "b"}], "kind"),
        ([{"const": 2}, {"const": 3}], "kind"),
        ([{"const": True}, {"const": False}], None),
        ([{"const": 1}, {"const": 2}], None),
        ([{"const": "a"}, {"enum": ["b", "a"]}], None),
        ([{"const": "a"}, {"type": "string"}], None),
        ([{"const": "a"}, {"enum": ["b", None]}], None),
        ([{"const": "a"}, {"const": 5}], None),
    ],
)
def test_discriminators_that_pydantic_can_use(tags: list[Any], attribute: str | None) -> None:
    """A discriminator needs values of one type that no two branches share."""
    branches = [{**members(kind=tag), "required": ["kind"]} for tag in tags]
    schema = {"oneOf": branches, "discriminator": {"propertyName": "kind"}}
    root = shapes_of(schema, A={"const": "a"}).definitions["Root"]
    assert root.get("x-discriminator") == attribute


@pytest.mark.parametrize(
    ("schema", "default", "kept"),
    [
        ({"type": "integer"}, 1.0, [1]),
        ({"type": "integer", "minimum": 2}, 1, []),
        ({"type": "number"}, 1, [1]),
        ({"type": "string", "format": "date"}, "2024-01-01", []),
        (ref("Short"), "ab", ["ab"]),
        (ref("Short"), "abc", []),
        ({"type": ["string", "null"]}, None, [None]),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "a", ["a"]),
        ({"type": "array"}, [], [[]]),
        ({"type": "array"}, [1], []),
        ({"type": "object"}, {}, [{}]),
        (members(a={}), {}, []),
        ({"enum": ["a", 5]}, 5, [5]),
        (True, "a", []),
    ],
)
def test_defaults_that_python_has_as_they_are(schema: Any, default: Any, kept: list[Any]) -> None:
    """Only a valid default that is a scalar or empty becomes one of Python."""
    member = {**schema, "default": default} if isinstance(schema, dict) else schema
    found = shapes_of(members(a=member), Short={"type": "string", "maxLength": 2})
    root = found.definitions["Root"]["properties"]["a"]
    assert [root[key] for key in ("default",) if key in root] == kept


@pytest.mark.slow
@pytest.mark.parametrize("count", [25, 40, 2000])
@pytest.mark.parametrize("is_class", [True, False])
@pytest.mark.parametrize("is_circle", [True, False])
def test_deep_references_are_cut(count: int, is_class: bool, is_circle: bool) -> None:
    """Chains of classes stay; chains of lists and circles are cut where pydantic would fail."""
    definitions: dict[str, Any] = {}
    for number in range(count):
        last = number == count - 1
        inner = ref("C0") if last and is_circle else {} if last else ref(f"C{number + 1}")
        wrapped = members(x=inner) if is_class else {"type": "array", "items": inner}
        definitions[f"C{number}"] = wrapped
    shapes = shape(definitions, ["C0"])
    is_fine = count < 30 if is_class == is_circle or not is_class else True
    assert shapes.is_exact("C0") == (is_fine and (is_class or not is_circle))
    if count < 100:
        assert Models(definitions).accepts("C0", {} if is_class else [])


def test_inline_nesting_is_cut() -> None:
    """Lists inside of lists are cut where pydantic would fail."""
    schema: Any = {"type": "string"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    shapes = shapes_of(schema)
    assert not shapes.is_exact("Root")
    assert str(shapes.definitions["Root"]).count("items") < 40


def test_product_of_choices_is_bounded() -> None:
    """Choices beside choices are combined up to a limit; the judge decides about the others."""
    many = [{"oneOf": [{"const": f"{name}{part}"} for part in range(12)]} for name in "abcdef"]
    assert not shapes_of({"allOf": many}).is_exact("Root")
    few = {"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]},
                     {"anyOf": [{"type": "integer"}, {"type": "null"}]}]}  # fmt: skip
    assert shapes_of(few).definitions["Root"] == {"type": "integer"}
    assert shapes_of(few).is_exact("Root")


def test_choices_beside_many_choices_are_few() -> None:
    """The product of all choices of a schema is bounded, not only that of two of them."""
    choices = [
        {"anyOf": [members(**{f"m{at}{part}": OBJECT}) for part in "abcd"]} for at in "pqrst"
    ]
    assert len(shapes_of({"allOf": choices}).definitions) < 500


def test_long_unions_are_any_value() -> None:
    """A union that is too long for compilers of Python is left to the judge."""
    for count, is_exact in ((250, True), (251, False)):
        branches = [members(**{f"m{number}": {"type": "string"}}) for number in range(count)]
        assert shapes_of({"anyOf": branches}).is_exact("Root") is is_exact


def test_names_have_a_limited_length() -> None:
    """Classes inside of classes have names of bounded length, each of its own."""
    schema: Any = {"type": "string"}
    for _ in range(40):
        schema = members(quiteLongName=schema)
    names = shapes_of(schema).definitions
    assert len(names) == 40
    assert max(map(len, names)) <= 64 + 2


def test_schemas_that_extend_a_recursive_one_are_few() -> None:
    """A recursive schema that extends a recursive one, of several types, has a class for each."""
    places = ("items", "not", "contains", "other", "more")
    base = {"type": ["object", "boolean"], "properties": {each: ref("Base") for each in places}}
    own = {"properties": {each: {"anyOf": [ref("Own"), {"type": "null"}]} for each in places}}
    found = shapes_of(ref("Own"), Base=base, Own={"allOf": [ref("Base"), own]})
    assert len(found.definitions) < 10
    assert found.is_exact("Root")
