"""Bundling: the class names of schemas, and the `$ref`s to them."""

from __future__ import annotations

from typing import Any

import pytest

from weenats_codegen.ir.bundler import Bundler
from weenats_codegen.ir.schemas import without_descriptions
from weenats_codegen.parser.diagnostics import Location
from weenats_codegen.parser.walk import Node


class Folder:
    """Schema files by name; a `$ref` is `file` or `file#/$defs/name`."""

    def __init__(self, **files: Any) -> None:
        self.files = {
            f"c/{name}.json": Node(Location(f"c/{name}.json"), data) for name, data in files.items()
        }

    def resolve(self, location: Location, ref: str) -> Node:
        """Return the schema that a `$ref` refers to."""
        name, _, pointer = ref.partition("#")
        found = self.files[f"c/{name}.json" if name else location.file]
        return found.get(*pointer.split("/")[1:])


def bundle(schema: object, **files: object) -> Bundler:
    """Bundle the schema of `root.json` as Root."""
    folder = Folder(root=schema, **files)
    bundler = Bundler(folder.resolve)
    bundler.add(folder.files["c/root.json"], "Root")
    return bundler


def members(**properties: object) -> dict[str, Any]:
    """Return an object schema."""
    return {"type": "object", "properties": properties}


A = {"type": "string", "minLength": 1}
OBJECT = members(a=A)
MAP = {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}


@pytest.mark.parametrize(
    ("schema", "names"),
    [
        (members(a=OBJECT), ["RootA"]),
        (members(a=members(b=OBJECT)), ["RootA", "RootAB"]),
        (members(a={"type": "array", "items": OBJECT}), ["RootAItem"]),
        (members(a={"type": "array", "items": A}), ["RootAItem"]),
        (members(a={"type": "array", "items": {"type": "string"}}), []),
        (members(a={"type": "object", "additionalProperties": OBJECT}), ["RootAValue"]),
        (members(a={"type": "object", "patternProperties": {"^x": A}}), ["RootAValue"]),
        (members(a={"oneOf": [{"title": "Big one", **OBJECT}, {"type": "null"}]}), ["RootABigOne"]),
        (members(a={"anyOf": [members(k={"const": "x-y"}), OBJECT]}), ["RootAOption2", "RootAXY"]),
        (members(a={"anyOf": [True, {"title": "--", **OBJECT}]}), ["RootAOption2"]),
        (members(a={"type": ["string", "integer"], "minimum": 1}), ["RootAInteger"]),
        (members(a={"type": ["object", "null"], "properties": {"b": A}}), ["RootA"]),
        (members(a={"anyOf": [A, {"type": "null"}]}), []),
        (members(a={"anyOf": [{"type": "null"}, {"enum": ["x"]}]}), []),
        (members(a={"allOf": [OBJECT, {"properties": {"b": OBJECT}}]}), ["RootA", "RootAB"]),
        (members(a={"type": "object", "additionalProperties": False}), ["RootA"]),
        (members(a={"type": "object", "additionalProperties": True}), []),
        (members(a={**MAP, "type": ["object", "null"]}), ["RootAObject"]),
        (members(a={"anyOf": [MAP, {"type": "null"}]}), ["RootAOption1"]),
        (members(a=MAP), []),
        ({"allOf": [True, OBJECT]}, []),
        (True, []),
    ],
)
def test_what_needs_a_class_has_a_name_after_its_place(schema: object, names: list[str]) -> None:
    """Objects get a class, and bounded values inside unions and lists."""
    bundler = bundle(schema)
    assert sorted(bundler.definitions) == sorted(["Root", *names])
    assert bundler.diagnostics == []


def test_a_reference_is_called_by_its_file_or_its_key() -> None:
    """The class is named after the file or the `$defs` key at the end of a chain of `$ref`s."""
    schema = members(
        a={"$ref": "pet-shop"}, b={"$ref": "pet-shop#/$defs/big-dog"}, c={"$ref": "chain"}
    )
    shop = {**OBJECT, "$defs": {"big-dog": OBJECT}}
    bundler = bundle(schema, **{"pet-shop": shop, "chain": {"$ref": "pet-shop"}})
    assert sorted(bundler.definitions) == ["BigDog", "PetShop", "Root"]
    assert bundler.definitions["Root"]["properties"] == {
        "a": {"$ref": "#/$defs/PetShop"},
        "b": {"$ref": "#/$defs/BigDog"},
        "c": {"$ref": "#/$defs/PetShop"},
    }


def test_recursion_ends() -> None:
    """A recursive schema is bundled once."""
    bundler = bundle(members(a={"$ref": "tree"}), tree=members(left={"$ref": "tree"}))
    assert sorted(bundler.definitions) == ["Root", "Tree"]


def test_two_schemas_with_one_name_are_a_problem() -> None:
    """The second schema with a name is reported, with the location of the first."""
    bundler = bundle(members(a=OBJECT, b={"$ref": "root-a"}), **{"root-a": OBJECT})
    (diagnostic,) = bundler.diagnostics
    assert str(diagnostic) == (
        "c/root-a.json: the class name RootA is also used by c/root.json#/properties/a; "
        "rename one of them, or move it to $defs under another name"
    )


def test_words_for_people_are_told_from_members_of_that_name() -> None:
    """A property named `description`, and a default that looks like a schema, are kept."""
    schema = {
        "title": "T",
        "properties": {"description": {"description": "D", "default": {"title": "kept"}}},
        "anyOf": [{"examples": [1], "type": "object"}],
    }
    assert without_descriptions(schema) == {
        "properties": {"description": {"default": {"title": "kept"}}},
        "anyOf": [{"type": "object"}],
    }
