"""A flat bundle -> formulas."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen.compatibility.formula.atoms import (
    Above,
    Atom,
    Contains,
    Has,
    HasFormat,
    ItemAt,
    Items,
    Length,
    Matches,
    Members,
    MembersMatching,
    Multiple,
    Names,
    OtherMembers,
    Unique,
)
from weenats_codegen.compatibility.formula.formulas import (
    Formula,
    Formulas,
    items_from,
    member_named,
)
from weenats_codegen.compatibility.formula.unevaluated import Unevaluated
from weenats_codegen.compatibility.formula.values import exact
from weenats_codegen.ir.bundle import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Schema

_AT_LEAST: Final[dict[str, Callable[[int], Atom]]] = {
    "minLength": Length,
    "minItems": Items,
    "minProperties": Members,
}
_AT_MOST: Final[dict[str, Callable[[int], Atom]]] = {
    "maxLength": Length,
    "maxItems": Items,
    "maxProperties": Members,
}
_UNEVALUATED: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})


class Compiler:
    """Makes the formulas of schemas.

    Attributes:
        formulas: Makes formulas.
        definitions: The schemas that references lead to, by name.
    """

    def __init__(self, formulas: Formulas, definitions: Mapping[str, JsonValue]) -> None:
        """Initialize a compiler.

        Args:
            formulas: Makes formulas.
            definitions: The schemas that references lead to, by name.
        """
        self.formulas: Final = formulas
        self.definitions: Final = definitions
        self._compiled: Final[dict[str, Formula]] = {}
        self._later: Final[dict[str, Schema]] = {}

    def definition(self, name: str) -> Formula:
        """Return what a definition says.

        Args:
            name: Its name, or that of a schema whose formula was put off.
        """
        if name not in self._compiled:
            if name in self._later:
                self._compiled[name] = self._with_unevaluated(self._later[name])
            else:
                self._compiled[name] = self.schema(self.definitions[name])
        return self._compiled[name]

    def schema(self, schema: JsonValue) -> Formula:
        """Return what a schema says.

        Args:
            schema: A schema of a flat bundle.
        """
        if not isinstance(schema, dict):
            return self.formulas.true if schema is not False else self.formulas.false
        if _UNEVALUATED.isdisjoint(schema):
            return self.formulas.all(self._parts(schema))
        # Its formula looks into what it refers to, which may have the same schema inside.
        name = json.dumps(schema, sort_keys=True)
        self._later[name] = schema
        return self.formulas.definition(name)

    def _with_unevaluated(self, schema: Schema) -> Formula:
        plain = {key: schema[key] for key in schema if key not in _UNEVALUATED}
        return self.formulas.all([*self._parts(plain), *Unevaluated(self).unevaluated(schema)])

    def ref(self, ref: str) -> Formula:
        """Return what the target of a reference says.

        Args:
            ref: The reference.
        """
        name = ref.removeprefix(PREFIX)
        target = self.definitions[name]
        if isinstance(target, dict) and target.keys() != {"$ref"}:
            return self.formulas.definition(name)
        return self.schema(target)

    def _parts(self, schema: Schema) -> Iterator[Formula]:
        formulas = self.formulas
        for key, value in schema.items():
            if key in _AT_LEAST:
                yield formulas.atom(_AT_LEAST[key](int(cast("float", value))))
            elif key in _AT_MOST:
                atom = _AT_MOST[key](int(cast("float", value)) + 1)
                yield formulas.atom(atom, is_met=False)
            elif key in _KEYWORDS:
                yield from _KEYWORDS[key](self, value, schema)

    def several(self, schemas: JsonValue) -> list[Formula]:
        """Return what each of some schemas says.

        Args:
            schemas: A list of schemas.
        """
        return [self.schema(part) for part in cast("list[JsonValue]", schemas)]


def _ref(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.ref(str(value))


def _type(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    names = value if isinstance(value, list) else [value]
    types = {"number" if name == "integer" else str(name) for name in names}
    yield compiler.formulas.types(types)
    if "integer" in names and "number" not in names:
        yield compiler.formulas.atom(Multiple(Fraction(1)))


def _enum(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.values(cast("list[JsonValue]", value))


def _const(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.values([value])


def _minimum(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Above(_exact(value), is_exclusive=False))


def _above(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Above(_exact(value), is_exclusive=True))


def _maximum(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Above(_exact(value), is_exclusive=True), is_met=False)


def _below(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Above(_exact(value), is_exclusive=False), is_met=False)


def _multiple(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Multiple(_exact(value)))


def _pattern(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Matches(str(value)))


def _format(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(HasFormat(str(value)))


def _all_of(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield from compiler.several(value)


def _any_of(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.any(compiler.several(value))


def _one_of(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.one(compiler.several(value))


def _not(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.negation(compiler.schema(value))


def _if(compiler: Compiler, value: JsonValue, schema: Schema) -> Iterator[Formula]:
    formulas = compiler.formulas
    condition = compiler.schema(value)
    then, otherwise = (compiler.schema(schema.get(key, True)) for key in ("then", "else"))
    yield formulas.any([formulas.negation(condition), then])
    yield formulas.any([condition, otherwise])


def _prefix_items(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    for index, part in enumerate(compiler.several(value)):
        yield compiler.formulas.atom(ItemAt(index, part))


def _items(compiler: Compiler, value: JsonValue, schema: Schema) -> Iterator[Formula]:
    start = len(cast("list[JsonValue]", schema.get("prefixItems", [])))
    yield items_from(compiler.formulas, start, compiler.schema(value))


def _contains(compiler: Compiler, value: JsonValue, schema: Schema) -> Iterator[Formula]:
    part = compiler.schema(value)
    yield _containing(compiler.formulas, schema.get("minContains", 1), part, is_met=True)
    if "maxContains" in schema:
        more = int(cast("float", schema["maxContains"])) + 1
        yield _containing(compiler.formulas, more, part, is_met=False)


def _containing(formulas: Formulas, count: JsonValue, part: Formula, *, is_met: bool) -> Formula:
    least = int(cast("float", count))
    if part is formulas.true:
        return formulas.atom(Items(least), is_met=is_met)
    return formulas.atom(Contains(least, part), is_met=is_met)


def _unique(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    if value is True:
        yield compiler.formulas.atom(Unique())


def _required(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    for name in cast("list[str]", value):
        yield compiler.formulas.atom(Has(name))


def _properties(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    for name, part in cast("Schema", value).items():
        yield member_named(compiler.formulas, name, compiler.schema(part))


def _pattern_properties(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    for pattern, part in cast("Schema", value).items():
        yield compiler.formulas.atom(MembersMatching(pattern, compiler.schema(part)))


def _additional(compiler: Compiler, value: JsonValue, schema: Schema) -> Iterator[Formula]:
    names = frozenset(cast("Schema", schema.get("properties", {})))
    patterns = frozenset(cast("Schema", schema.get("patternProperties", {})))
    yield compiler.formulas.atom(OtherMembers(names, patterns, compiler.schema(value)))


def _names(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    yield compiler.formulas.atom(Names(compiler.schema(value)))


def _dependent_required(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    formulas = compiler.formulas
    for name, others in cast("dict[str, list[str]]", value).items():
        required = formulas.all(formulas.atom(Has(other)) for other in others)
        yield formulas.any([formulas.atom(Has(name), is_met=False), required])


def _dependent_schemas(compiler: Compiler, value: JsonValue, _: Schema) -> Iterator[Formula]:
    formulas = compiler.formulas
    for name, part in cast("Schema", value).items():
        yield formulas.any([formulas.atom(Has(name), is_met=False), compiler.schema(part)])


def _exact(value: JsonValue) -> Fraction:
    return exact(cast("float", value))


_KEYWORDS: Final[dict[str, Callable[[Compiler, JsonValue, Schema], Iterator[Formula]]]] = {
    "$ref": _ref,
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _minimum,
    "exclusiveMinimum": _above,
    "maximum": _maximum,
    "exclusiveMaximum": _below,
    "multipleOf": _multiple,
    "pattern": _pattern,
    "format": _format,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
    "if": _if,
    "prefixItems": _prefix_items,
    "items": _items,
    "contains": _contains,
    "uniqueItems": _unique,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "dependentRequired": _dependent_required,
    "dependentSchemas": _dependent_schemas,
}
