"""The dialects of JSON Schema: where schemas are inside one, and what it means in 2020-12.

A dialect is translated one schema object at a time. The schemas inside it remain `Node`s, so that
each of them may have another dialect and keeps its own location.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import jsonschema_rs

from weenats_codegen.parser.patterns import normalized
from weenats_codegen.parser.walk import Node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Location


class Ref(NamedTuple):
    """A reference to another schema.

    Attributes:
        location: The place of the reference.
        uri: Its value.
        keyword: `$ref`, `$dynamicRef` or `$recursiveRef`.
    """

    location: Location
    uri: str
    keyword: str = "$ref"


Tree: TypeAlias = "JsonValue | Node | Ref | Sequence[Tree] | Mapping[str, Tree]"
"""A translated schema: JSON whose inner schemas are still nodes, whose references are `Ref`s."""

_ASSERTIONS: Final = frozenset({
    "type", "enum", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxProperties",
    "minProperties", "required",
})  # fmt: skip
_APPLICATORS: Final = frozenset({
    "allOf", "anyOf", "oneOf", "not", "items", "additionalItems", "properties",
    "patternProperties", "additionalProperties", "dependencies",
})  # fmt: skip
_DRAFT_4: Final = _ASSERTIONS | _APPLICATORS | {"format"}
_DRAFT_6: Final = _DRAFT_4 | {"const", "contains", "propertyNames"}
_DRAFT_7: Final = _DRAFT_6 | {"if", "then", "else"}
_DRAFT_2019: Final = _DRAFT_7 | {
    "dependentRequired", "dependentSchemas", "maxContains", "minContains", "unevaluatedItems",
    "unevaluatedProperties",
}  # fmt: skip
"""`dependencies` has been replaced since draft-07, and is still what validators enforce."""
_DRAFT_2020: Final = _DRAFT_2019 - {"additionalItems"} | {"prefixItems"}
_ANNOTATIONS: Final = frozenset({
    "title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly",
    "contentEncoding", "contentMediaType", "x-enum-varnames", "x-python-type",
})  # fmt: skip
_BESIDE_REF: Final = ("title", "description", "examples", "default", "deprecated")
"""What is kept beside a `$ref` in dialects in which it stands alone: it has no meaning."""
_BESIDE_ALL_OF: Final = frozenset({"allOf", "readOnly", "writeOnly", *_BESIDE_REF})
"""The keywords of a schema that its `allOf` with a single `$ref` may be replaced in."""

ONE: Final = frozenset({
    "additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items",
    "not", "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
})  # fmt: skip
MANY: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
NAMED: Final = frozenset({
    "$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties",
})  # fmt: skip
_HOLDERS: Final = frozenset({"$defs", "definitions"})
_COUNTS: Final = frozenset({
    "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties",
    "maxContains", "minContains",
})  # fmt: skip
_BOUNDS: Final = frozenset({
    "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf",
})  # fmt: skip

_APPLICATOR_VOCABULARY: Final = _DRAFT_2020 & (
    _APPLICATORS
    | {"if", "then", "else", "prefixItems", "contains", "propertyNames", "dependentSchemas"}
) | {"additionalItems"}  # fmt: skip
_UNEVALUATED_VOCABULARY: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
_VALIDATION_VOCABULARY: Final = _ASSERTIONS | {
    "const", "dependentRequired", "maxContains", "minContains",
}  # fmt: skip
_VOCABULARIES: Final[Mapping[str, frozenset[str]]] = {
    "2019-09/vocab/core": frozenset(),
    "2019-09/vocab/applicator": _APPLICATOR_VOCABULARY | _UNEVALUATED_VOCABULARY,
    "2019-09/vocab/validation": _VALIDATION_VOCABULARY,
    "2019-09/vocab/meta-data": frozenset(),
    "2019-09/vocab/format": frozenset({"format"}),
    "2019-09/vocab/content": frozenset(),
    "2020-12/vocab/core": frozenset(),
    "2020-12/vocab/applicator": _APPLICATOR_VOCABULARY,
    "2020-12/vocab/unevaluated": _UNEVALUATED_VOCABULARY,
    "2020-12/vocab/validation": _VALIDATION_VOCABULARY,
    "2020-12/vocab/meta-data": frozenset(),
    "2020-12/vocab/format-annotation": frozenset({"format"}),
    "2020-12/vocab/format-assertion": frozenset({"format"}),
    "2020-12/vocab/content": frozenset(),
}
_VOCABULARY_PREFIX: Final = "https://json-schema.org/draft/"


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect of JSON Schema.

    Attributes:
        name: Its name in messages.
        uri: The URI of its meta-schema, without a fragment.
        draft: The number of the draft in jsonschema-rs.
        keywords: The keywords that allow or refuse values.
        id_key: The keyword that identifies a schema.
        has_anchors: Whether `$anchor` names a schema; before, `$id: '#name'` did.
        has_dynamic_anchors: Whether `$dynamicAnchor` names one.
        contains_evaluates: Whether `unevaluatedItems` leaves out what `contains` matches.
        ref_stands_alone: Whether keywords beside `$ref` are ignored.
        is_lenient: Whether keywords of other dialects are understood where their meaning is plain.
        has_openapi_keywords: Whether `nullable`, `example` and `discriminator` have a meaning.
    """

    name: str
    uri: str
    draft: int
    keywords: frozenset[str]
    id_key: str = "$id"
    has_anchors: bool = False
    has_dynamic_anchors: bool = False
    contains_evaluates: bool = True
    ref_stands_alone: bool = False
    is_lenient: bool = False
    has_openapi_keywords: bool = False

    def hides_siblings(self, schema: Mapping[str, JsonValue]) -> bool:
        """Return whether a schema is only its `$ref`, whatever stands beside it."""
        return self.ref_stands_alone and isinstance(schema.get("$ref"), str)

    def id_of(self, schema: Mapping[str, JsonValue]) -> str | None:
        """Return the identifier that a schema gives itself."""
        found = schema.get(self.id_key)
        return found if isinstance(found, str) and not self.hides_siblings(schema) else None


DRAFT_4: Final = Dialect(
    "draft-04",
    "http://json-schema.org/draft-04/schema",
    jsonschema_rs.Draft4,
    _DRAFT_4,
    id_key="id",
    ref_stands_alone=True,
)
DRAFT_6: Final = Dialect(
    "draft-06",
    "http://json-schema.org/draft-06/schema",
    jsonschema_rs.Draft6,
    _DRAFT_6,
    ref_stands_alone=True,
)
DRAFT_7: Final = Dialect(
    "draft-07",
    "http://json-schema.org/draft-07/schema",
    jsonschema_rs.Draft7,
    _DRAFT_7,
    ref_stands_alone=True,
)
DRAFT_2019: Final = Dialect(
    "2019-09",
    "https://json-schema.org/draft/2019-09/schema",
    jsonschema_rs.Draft201909,
    _DRAFT_2019,
    has_anchors=True,
    contains_evaluates=False,
)
DRAFT_2020: Final = Dialect(
    "2020-12",
    "https://json-schema.org/draft/2020-12/schema",
    jsonschema_rs.Draft202012,
    _DRAFT_2020,
    has_anchors=True,
    has_dynamic_anchors=True,
)
UNDECLARED: Final = replace(
    DRAFT_2020,
    keywords=_DRAFT_2020 | {"additionalItems"},
    is_lenient=True,
    has_openapi_keywords=True,
)
"""What schemas without `$schema` are: 2020-12, and what is plain in other dialects."""
OPENAPI_3_0: Final = replace(DRAFT_4, name="OpenAPI 3.0", id_key="", has_openapi_keywords=True)
"""Its schemas, and those of Swagger 2.0, are a variant of draft-04."""
ASYNCAPI: Final = replace(DRAFT_7, name="AsyncAPI", has_openapi_keywords=True)

_ALL: Final = {
    dialect.uri.partition("://")[2]: dialect
    for dialect in (DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020)
} | {
    "json-schema.org/schema": DRAFT_2020,
    "spec.openapis.org/oas/3.1/dialect/base": replace(DRAFT_2020, has_openapi_keywords=True),
    "spec.openapis.org/oas/3.0/dialect": OPENAPI_3_0,
}

_OLD_DRAFT: Final = re.compile(r"https?://json-schema\.org/draft-0[0-3]/")


def dialect_of(uri: str) -> Dialect | None:
    """Return the dialect that a `$schema` names, None if it is none of the known ones."""
    return _ALL.get(uri.partition("://")[2].removesuffix("#").removesuffix("/"))


def is_unsupported(uri: str) -> bool:
    """Return whether a `$schema` names a draft that is older than those that are known."""
    return _OLD_DRAFT.match(uri) is not None


def dialect_of_document(document: Mapping[str, JsonValue]) -> Dialect:
    """Return the dialect of the schemas in a file that has no `$schema`."""
    version = document.get("openapi")
    if isinstance(version, str):
        return OPENAPI_3_0 if version.startswith("3.0") else UNDECLARED
    if "swagger" in document:
        return OPENAPI_3_0
    return ASYNCAPI if "asyncapi" in document else UNDECLARED


def without_vocabularies(
    dialect: Dialect, uri: str, vocabularies: Mapping[str, JsonValue]
) -> Dialect:
    """Return a dialect with the keywords of some vocabularies only.

    Args:
        dialect: The dialect of the meta-schema.
        uri: The URI of the meta-schema.
        vocabularies: Its `$vocabulary`.

    Raises:
        ValueError: A required vocabulary is unknown; the argument of the error is its URI.
    """
    keywords: set[str] = set()
    for vocabulary, is_required in vocabularies.items():
        known = _VOCABULARIES.get(vocabulary.removeprefix(_VOCABULARY_PREFIX))
        if known is None and is_required is True:
            raise ValueError(vocabulary)
        keywords |= known or set()
    return replace(dialect, name=uri, uri=uri, keywords=dialect.keywords & keywords)


@cache
def meta_schemas() -> Mapping[str, JsonValue]:
    """Return the meta-schemas of all dialects, and their parts, by URI."""
    found: dict[str, JsonValue] = {}
    for dialect in (DRAFT_4, DRAFT_6, DRAFT_7, DRAFT_2019, DRAFT_2020):
        bundled = jsonschema_rs.bundle({"$ref": dialect.uri}, draft=dialect.draft, offline=True)
        holder = "$defs" if dialect.has_anchors else "definitions"
        found.update(cast("dict[str, JsonValue]", bundled[holder]))
    return found


def inner(schema: Node, dialect: Dialect) -> Iterator[Node]:
    """Yield the schemas directly inside a schema, those that have no effect on it included."""
    if dialect.hides_siblings(schema.mapping):
        for key in _HOLDERS & schema.mapping.keys():
            yield from schema.get(key).members.values()
        return
    for key, value in schema.mapping.items():
        if key not in _HOLDERS and key not in dialect.keywords and key != "contentSchema":
            continue
        if key in NAMED:
            for part in schema.get(key).members.values():
                if key != "dependencies" or not isinstance(part.value, list):
                    yield part
        elif key in MANY or (key == "items" and isinstance(value, list)):
            yield from schema.get(key).items
        elif key in ONE:
            yield schema.get(key)


def is_definition(pointer: str) -> bool:
    """Return whether a JSON pointer leads to a schema that others refer to by its name.

    Args:
        pointer: A pointer from the root of a file.
    """
    steps = pointer.split("/")[1:]
    if steps[:2] == ["components", "schemas"]:
        steps = ["definitions", *steps[2:]]
    holder = ""
    for number, step in enumerate(steps, 1):
        if holder:
            if number == len(steps):
                return holder in _HOLDERS
            holder = ""
        elif step in NAMED:
            holder = step
    return False


def translated(schema: Node, dialect: Dialect) -> dict[str, Tree]:
    """Return what a schema object means in JSON Schema 2020-12, without its `discriminator`.

    Args:
        schema: A schema that is a mapping.
        dialect: Its dialect.
    """
    return with_null(without_null(schema, dialect), schema, dialect)


def without_null(schema: Node, dialect: Dialect) -> dict[str, Tree]:
    """Return what a schema object means, but for its `nullable` and `discriminator`.

    Keywords whose values have another type than the dialect demands are left out.

    Args:
        schema: A schema that is a mapping.
        dialect: Its dialect.
    """
    if dialect.hides_siblings(schema.mapping):
        result: dict[str, Tree] = {"$ref": _ref(schema, "$ref")}
        result.update((key, schema.mapping[key]) for key in _BESIDE_REF if key in schema.mapping)
        return result
    result = {}
    for key, value in schema.mapping.items():
        if key in _ANNOTATIONS:
            result[key] = value
        elif key in dialect.keywords:
            part = _part(schema.get(key), key)
            if part is not None or key == "const":
                result[key] = part
    _translate_bounds(result, dialect)
    _translate_arrays(result, dialect)
    _translate_dependencies(result)
    if "if" not in result:
        result.pop("then", None)
        result.pop("else", None)
    if "contains" not in result:
        result.pop("minContains", None)
        result.pop("maxContains", None)
    _add_references(result, schema, dialect)
    _unwrap_reference(result)
    discriminator = schema.get("discriminator").mapping
    if isinstance(discriminator.get("propertyName"), str):
        result["discriminator"] = discriminator
    if dialect.has_openapi_keywords and "example" in schema.mapping and "examples" not in result:
        result["examples"] = [schema.mapping["example"]]
    return result


def _part(part: Node, key: str) -> Tree:
    """Return the value of a keyword with nodes for schemas, None if it has a wrong type."""
    value = part.value
    result: Tree = value
    if isinstance(value, list) and (key in MANY or key == "items"):
        result = part.items
    elif key in ONE:
        result = part if isinstance(value, dict | bool) else None
    elif key in MANY:
        result = None
    elif key in NAMED:
        result = _named(part, key) if isinstance(value, dict) else None
    elif key == "pattern":
        result = normalized(value) if isinstance(value, str) else None
    elif key in _COUNTS | _BOUNDS and isinstance(value, float) and value.is_integer():
        result = int(value)
    return result


def _named(schemas: Node, key: str) -> Tree:
    if key == "patternProperties":
        return _by_pattern(schemas)
    return {
        name: part.value if key == "dependencies" and isinstance(part.value, list) else part
        for name, part in schemas.members.items()
    }


def _by_pattern(schemas: Node) -> Tree:
    result: dict[str, Tree] = {}
    for pattern, schema in schemas.members.items():
        meant = normalized(pattern)
        result[meant] = {"allOf": [result[meant], schema]} if meant in result else schema
    return result


def _ref(schema: Node, keyword: str) -> Ref:
    return Ref(schema.location.child(keyword), str(schema.mapping[keyword]), keyword)


def _add_references(result: dict[str, Tree], schema: Node, dialect: Dialect) -> None:
    keywords = ["$ref"]
    if dialect.has_dynamic_anchors:
        keywords.append("$dynamicRef")
    elif dialect.draft == jsonschema_rs.Draft201909:
        keywords.append("$recursiveRef")
    refs = [_ref(schema, key) for key in keywords if isinstance(schema.mapping.get(key), str)]
    if refs:
        result["$ref"] = refs[0]
    for ref in refs[1:]:
        _add_all_of(result, {"$ref": ref})


def _unwrap_reference(result: dict[str, Tree]) -> None:
    """Replace an allOf that is only a reference, which drafts before 2019-09 need, by it."""
    parts = result.get("allOf")
    if not isinstance(parts, list) or len(parts) != 1 or not result.keys() <= _BESIDE_ALL_OF:
        return
    (part,) = parts
    if not isinstance(part, Node) or not part.mapping.keys() <= {"$ref", "$comment", *_BESIDE_REF}:
        return
    if isinstance(part.mapping.get("$ref"), str):
        del result["allOf"]
        result["$ref"] = _ref(part, "$ref")


def _add_all_of(schema: dict[str, Tree], part: Tree) -> None:
    parts = schema.get("allOf")
    schema["allOf"] = [*parts, part] if isinstance(parts, list) else [part]


def _translate_bounds(result: dict[str, Tree], dialect: Dialect) -> None:
    """Turn the boolean exclusiveMinimum and exclusiveMaximum of draft-04 into numbers."""
    if dialect.draft != jsonschema_rs.Draft4 and not dialect.is_lenient:
        return
    for key, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        flag = result.get(exclusive)
        if isinstance(flag, bool):
            del result[exclusive]
            if flag and key in result:
                result[exclusive] = result.pop(key)


def _translate_arrays(result: dict[str, Tree], dialect: Dialect) -> None:
    """Turn lists of items and additionalItems into prefixItems and items."""
    rest = result.pop("additionalItems", None)
    if isinstance(result.get("items"), list):
        if dialect.draft == jsonschema_rs.Draft202012 and not dialect.is_lenient:
            del result["items"]
            return
        result["prefixItems"] = result.pop("items")
        if rest is not None:
            result["items"] = rest


def _translate_dependencies(result: dict[str, Tree]) -> None:
    """Turn dependencies into dependentRequired and dependentSchemas."""
    dependencies = result.pop("dependencies", None)
    if not isinstance(dependencies, dict):
        return
    for name, dependency in dependencies.items():
        key = "dependentRequired" if isinstance(dependency, list) else "dependentSchemas"
        found = result.get(key, {})
        if not isinstance(found, dict) or name in found:
            _add_all_of(result, {key: {name: dependency}})
        else:
            result[key] = {**found, name: dependency}


def with_null(result: dict[str, Tree], schema: Node, dialect: Dialect) -> dict[str, Tree]:
    """Return what a schema means with its `nullable`, which may put a union around it.

    Args:
        result: What it means without.
        schema: The schema.
        dialect: Its dialect.
    """
    members = schema.mapping
    is_understood = dialect.has_openapi_keywords and not dialect.hides_siblings(members)
    if not is_understood or members.get("nullable") is not True:
        return result
    kinds = result.get("type")
    if isinstance(kinds, str):
        result["type"] = [kinds] if kinds == "null" else [kinds, "null"]
    elif isinstance(kinds, list):
        result["type"] = kinds if "null" in kinds else [*kinds, "null"]
    elif not result.keys() <= _ANNOTATIONS:
        kept: dict[str, Tree] = {key: result.pop(key) for key in _ANNOTATIONS & result.keys()}
        return {**kept, "anyOf": [result, {"type": "null"}]}
    return result
