"""Random schemas with references mean the same before and after they are bundled."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegen.ir.schema_files import bundle, validator
from testkit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES: Final = ("a", "b", "c")
URIS: Final = {
    "draft7": "http://json-schema.org/draft-07/schema#",
    "2019": "https://json-schema.org/draft/2019-09/schema",
    "2020": "https://json-schema.org/draft/2020-12/schema",
}
VALIDATORS: Final[dict[str, Callable[..., jsonschema_rs.Validator]]] = {
    "draft7": jsonschema_rs.Draft7Validator,
    "2019": jsonschema_rs.Draft201909Validator,
    "2020": jsonschema_rs.Draft202012Validator,
}
SCALARS: Final = (None, True, False, 0, 1, 2, 1.5, "", "a", "ab", "é")
TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")
ASSERTIONS: Final[dict[str, tuple[object, ...]]] = {
    "type": (*TYPES, ["array", "object"], ["integer", "string", "null"]),
    "enum": ([1, "a"], [None, [], {}], [["a"], {"a": 1}, 2]),
    "const": (*SCALARS, [], {"a": 1}),
    "minimum": (0, 1, 1.5),
    "exclusiveMaximum": (1, 2),
    "multipleOf": (1, 0.5, 2.0),
    "minLength": (1, 1.0),
    "maxLength": (1,),
    "pattern": ("^a", r"^[\w\-]$", "b$"),
    "minItems": (1,),
    "maxItems": (1, 2),
    "uniqueItems": (True, False),
    "minProperties": (1,),
    "required": (["a"], ["a", "b"]),
    "title": ("T",),
    "x-unknown": ({"$ref": "#/nowhere"},),
}
ONE: Final = ("not", "items", "additionalProperties", "propertyNames", "contains")
NEWER: Final = ("unevaluatedItems", "unevaluatedProperties")
BY_NAME: Final = ("properties", "dependencies", "patternProperties")
REFS: Final = (
    "#/$defs/x",
    "#/$defs/y",
    "other.json",
    "other.json#/$defs/x",
    "#",
    "in#/$defs/x",
    "in",
)


class Author:
    """Writes schemas of a draft at random."""

    def __init__(self, draft: str, source: random.Random) -> None:
        self.draft = draft
        self.random = source
        self.name = ""
        self.holder = "definitions" if draft == "draft7" else "$defs"

    def value(self, depth: int = 2) -> Any:
        """Return a value of any type."""
        kind = self.random.randrange(5)
        if depth and kind == 0:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        if depth and kind == 1:
            return {name: self.value(depth - 1) for name in NAMES if self.random.random() < 0.5}
        return self.random.choice(SCALARS)

    def schema(self, depth: int = 2) -> Any:
        """Return a schema; its references lead to what `document` has."""
        if self.random.random() < 0.1:
            return self.random.random() < 0.5
        schema: dict[str, Any] = {
            key: self.random.choice(ASSERTIONS[key]) for key in self.some(tuple(ASSERTIONS))
        }
        if depth:
            self._add_parts(schema, depth - 1)
        if self.random.random() < 0.4:
            newer = () if self.draft == "draft7" else ("#anchor",)
            ref = self.random.choice((*REFS, *newer))
            schema["$ref"] = ref.replace("in", self.name).replace("$defs", self.holder)
        elif self.draft == "2020":
            schema["$dynamicRef"] = self.random.choice(
                ("#dynamic", "other.json#dynamic", "#/$defs/y")
            )
        elif self.draft == "2019":
            schema["$recursiveRef"] = "#"
        return schema

    def _add_parts(self, schema: dict[str, Any], depth: int) -> None:
        for key in self.some((*ONE, *(() if self.draft == "draft7" else NEWER))):
            schema[key] = self.schema(depth)
        for key in self.some(("allOf", "anyOf", "oneOf"), 0.2):
            schema[key] = [self.schema(depth) for _ in range(self.random.randrange(1, 3))]
        for key in self.some(BY_NAME):
            schema[key] = {name: self.schema(depth) for name in self.some(NAMES, 0.5)}
        if self.random.random() < 0.2:
            schema |= {key: self.schema(depth) for key in ("if", "then", "else")}
        if self.random.random() < 0.2 and self.draft == "2020":
            schema["prefixItems"] = [self.schema(depth)]
        elif self.random.random() < 0.2 and self.draft != "2020":
            schema |= {"items": [self.schema(depth)], "additionalItems": self.schema(depth)}

    def some(self, keys: tuple[str, ...], probability: float = 0.12) -> list[str]:
        """Return some of the keys."""
        return [key for key in keys if self.random.random() < probability]

    def guarded(self, **names: object) -> dict[str, Any]:
        """Return a schema that refers to others only for the members and items of a value.

        So no schema refers to itself for one and the same value, which has no meaning.
        """
        members = {name: self.schema() for name in NAMES}
        key = "$ref" if self.random.random() < 0.5 and self.draft != "draft7" else "$comment"
        extra = self.random.choice(({"type": ["object", "array", "string"]}, {"minItems": 1}, {}))
        return {**names, key: "#/$defs/end", **extra, "properties": members, "items": self.schema()}

    def document(self, name: str) -> dict[str, Any]:
        """Return a schema with definitions, anchors and a resource inside it."""
        self.name = f"in-{name}"
        anchor = {} if self.draft == "draft7" else {"$anchor": "anchor"}
        dynamic = {"$dynamicAnchor": "dynamic"} if self.draft == "2020" else {}
        recursive = {"$recursiveAnchor": True} if self.draft == "2019" else {}
        end = {"end": {"minProperties": 1} if self.random.random() < 0.5 else True}
        inner = {"x": self.guarded(**anchor), "y": self.guarded(**dynamic), **end}
        outer = {"x": self.guarded(), "y": self.guarded(**dynamic), "z": self.guarded(**anchor)}
        is_recursive = self.draft == "2019" and self.random.random() < 0.5
        resource = {"$id": self.name, **recursive, self.holder: inner}
        return {
            "$schema": URIS[self.draft],
            "$id": f"https://example.com/{name}",
            **(recursive if is_recursive else {}),
            **self.guarded(),
            self.holder: {**outer, **end, "in": resource},
        }


def difference(seed: int) -> str | None:
    """Return two documents and a value that source and bundle judge differently."""
    author = Author(random.Random(seed).choice(sorted(URIS)), random.Random(seed))  # noqa: S311
    root, other = author.document("root.json"), author.document("other.json")
    source = VALIDATORS[author.draft](root, retriever=lambda _: other, validate_formats=False)
    with tempfile.TemporaryDirectory() as folder:
        made = bundle(Path(folder), root, other=other)
    assert made.diagnostics == ()
    judge = validator(made, next(iter(made.names.values())))
    for _ in range(30):
        value = author.value(3)
        if judge.is_valid(value) != source.is_valid(value):
            return json.dumps([root, other, value])
    return None


@pytest.mark.slow
@given(st.integers(0, 2**32))
@examples(0.5)
def test_bundle_accepts_what_its_source_accepts(seed: int) -> None:
    """jsonschema-rs judges every value alike by the source and by the bundle."""
    assert difference(seed) is None
