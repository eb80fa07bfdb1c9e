"""Schema bundling: class names and targets of `$ref`."""

from __future__ import annotations

from typing import Any

import pytest

from weenats_codegen.ir.bundler import Bundler
from weenats_codegen.ir.schemas import without_descriptions
from weenats_codegen.parser.diagnostics import Location
from weenats_codegen.parser.walk import Node


class SchemaFiles:
    """Resolver for schemas in memory; a `$ref` is `file` or `file#/$defs/name`."""

    def __init__(self, **files: Any) -> None:
        self.files = {
            f"c/{name}.json": Node(Location(f"c/{name}.json"), data) for name, data in files.items()
        }

    def resolve(self, location: Location, ref: str) -> Node:
        """Resolve a `$ref`."""
        name, _, pointer = ref.partition("#")
        found = self.files[f"c/{name}.json" if name else location.file]
        return found.get(*pointer.split("/")[1:])


def bundle(schema: object, **files: object) -> Bundler:
    """Bundle a schema of the file `root.json` under the name Root."""
    folder = SchemaFiles(root=schema, **files)
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
def test_class_names_follow_schema_path(schema: object, names: list[str]) -> None:
    """Objects, and constrained values in unions and lists, get a class named by their path."""
    bundler = bundle(schema)
    assert sorted(bundler.definitions) == sorted(["Root", *names])
    assert bundler.diagnostics == []


def test_reference_class_named_by_file_or_key() -> None:
    """The class of a `$ref` is named after its file or `$defs` key; chains are followed."""
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


def test_recursive_schema_is_bundled_once() -> None:
    """A schema that refers to itself is bundled once."""
    bundler = bundle(members(a={"$ref": "tree"}), tree=members(left={"$ref": "tree"}))
    assert sorted(bundler.definitions) == ["Root", "Tree"]


def test_duplicate_class_name_is_problem() -> None:
    """The second schema with the same class name is a problem that names the first."""
    bundler = bundle(members(a=OBJECT, b={"$ref": "root-a"}), **{"root-a": OBJECT})
    (diagnostic,) = bundler.diagnostics
    assert str(diagnostic) == (
        "c/root-a.json: the class name RootA is also used by c/root.json#/properties/a; "
        "rename one of them, or move it to $defs under another name"
    )


def test_annotation_free_keeps_properties_and_defaults() -> None:
    """Annotations are removed; properties and defaults that look like them are kept."""
    schema = {
        "title": "T",
        "properties": {"description": {"description": "D", "default": {"title": "kept"}}},
        "anyOf": [{"examples": [1], "type": "object"}],
    }
    assert without_descriptions(schema) == {
        "properties": {"description": {"default": {"title": "kept"}}},
        "anyOf": [{"type": "object"}],
    }
