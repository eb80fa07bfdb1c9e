"""Schemas -> shapes, and what the shapes leave to the judge."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen import naming
from weenats_codegen.ir.shapes.arrays import array
from weenats_codegen.ir.shapes.branches import are_exclusive
from weenats_codegen.ir.shapes.conjunction import (
    CHOICES,
    Choice,
    Conjoiner,
    Conjunction,
    all_of,
)
from weenats_codegen.ir.shapes.depth import MAX_DEPTH
from weenats_codegen.ir.shapes.enumeration import allowed_values, literal
from weenats_codegen.ir.shapes.grammar import (
    ANNOTATIONS,
    ANY,
    NULL,
    TYPES,
    Json,
    Schema,
    holds_bounds_with_null,
    is_any,
    is_bounded,
    key,
    ref,
    ref_name,
    types_of,
    union,
)
from weenats_codegen.ir.shapes.inheritance import Heir, heir
from weenats_codegen.ir.shapes.objects import needs_class, object_
from weenats_codegen.ir.shapes.place import Place
from weenats_codegen.ir.shapes.scalars import member_names, number, string

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

_MAX_MERGES: Final = 12
"""How many combined schemas a combined schema may be inside of."""
_MAX_COMBINED: Final = 10_000
"""How many combined schemas there may be in all."""
_MAX_COMBINATIONS: Final = 64
"""How many branches the choices of one schema may have, each combined with each."""
_MAX_UNION: Final = 250
"""How many members a union may have."""
_TELLING: Final = frozenset({
    "type", "enum", "const", "properties", "items", "prefixItems", "$ref", "allOf", *CHOICES,
})  # fmt: skip
"""Keywords without which a branch says nothing about the form of its values."""
_FORMLESS: Final = frozenset({"not", "if", "then", "else", "x-python-type"})
"""Keywords that say nothing about the form of a value."""


class Reason(NamedTuple):
    """A keyword that a shape does not enforce.

    Attributes:
        definition: The schema that has it.
        pointer: The place of the keyword in it.
    """

    definition: str
    pointer: str


class Shaper:
    """Makes the shapes of definitions.

    Attributes:
        shapes: The shapes by name: those of the definitions, and what they need beside them.
        reasons: Why each of them is wider than its schema; nothing if it is not.
    """

    def __init__(
        self,
        definitions: Mapping[str, Json],
        class_name: Callable[[str], str],
        taken: AbstractSet[str],
    ) -> None:
        """Initialize.

        Args:
            definitions: The schemas, by the names of their classes.
            class_name: Makes a class name of a name in a schema.
            taken: Names that no other class may have.
        """
        self.shapes: Final[dict[str, Schema]] = {}
        self.reasons: Final[dict[str, list[Reason]]] = {}
        self.class_name: Final = class_name
        self._definitions: Final = definitions
        self._conjoiner: Final = Conjoiner(definitions)
        self._taken: Final = {*definitions, *taken}
        self._numbers: Final[dict[str, int]] = {}
        self._pending: Final[list[tuple[str, Callable[[], Schema]]]] = []
        self._combined: Final[dict[tuple[str, bool], tuple[Schema, list[Reason]]]] = {}
        # By text, and whether it is for the member of a class, which holds bounds.
        self._count = 0
        self._current = ""

    def add(self, name: str) -> None:
        """Make the shape of a definition, and of everything that it needs beside it."""
        schema = self._definitions[name]
        self._pending.append((name, partial(self._documented, schema, Place(name, name))))
        while self._pending:
            self._current, make = self._pending.pop()
            self.reasons.setdefault(self._current, [])
            self.shapes[self._current] = make()

    def drop(self, place: Place, keyword: str) -> None:
        """Note that the shape at a place does not enforce a keyword; "" for the whole schema."""
        reason = Reason(place.definition, place.inside("", keyword).pointer)
        if reason not in self.reasons[self._current]:
            self.reasons[self._current].append(reason)

    def conjoin(self, schema: Json, place: Place) -> Conjunction:
        """Return a schema in one piece."""
        return self._conjoiner.conjoin(schema, partial(self.drop, place))

    def member(self, schema: Json, place: Place, *, is_required: bool) -> Schema:
        """Return the shape of the member of a class, with its documentation."""
        shape = self.part(schema, place)
        if not isinstance(schema, dict):
            return shape
        is_class = "$ref" in shape and "$ref" not in schema and ref_name(shape) not in self.shapes
        kept = {"deprecated"} if is_class else {"deprecated", "description"}
        default = [schema["default"]] if "default" in schema and not is_required else []
        if allowed_values(schema, default, self._definitions):
            kept.add("default")
        return shape | {name: schema[name] for name in sorted(kept & schema.keys())}

    def part(self, schema: Json, place: Place) -> Schema:
        """Return the shape of a part of a list, a map, a union or a class."""
        return self._without_bounds(self._shape(schema, place), place)

    def _documented(self, schema: Json, place: Place) -> Schema:
        return {**self._shape(schema, place), **_documentation(schema)}

    def _shape(self, schema: Json, place: Place) -> Schema:
        """Return the shape of a schema: never narrower than the schema."""
        if not isinstance(schema, dict) or place.depth > MAX_DEPTH:
            if schema is not True:
                self.drop(place, "")
            return {**ANY}
        if "$ref" in schema and schema.keys() <= ANNOTATIONS | {"$ref"}:
            return ref(ref_name(schema))
        if (parts := heir(schema, self._definitions)) is not None:
            return self._define(partial(self._heir, parts), schema, place)
        if schema.keys().isdisjoint({"allOf", "$ref"}):
            return self._whole(schema, place)
        return self._combination(schema, place)

    def _combination(self, schema: Schema, place: Place) -> Schema:
        """Return the shape of a schema that refers to others, which are combined into one."""
        text = key({name: schema[name] for name in schema if name not in ANNOTATIONS})
        known = self._combined.get((text, place.is_member))
        if known is not None and not place.is_whole:
            shape, reasons = known
            self.reasons[self._current] += reasons
            return deepcopy(shape)
        self._count += 1
        if place.merges >= _MAX_MERGES or self._count > _MAX_COMBINED:
            return self._most_telling(schema, place)
        uses = (False, True) if place.is_whole else (place.is_member,)
        if place.is_whole:
            self._combined.update({(text, use): (ref(place.name), []) for use in uses})
        before = len(self.reasons[self._current])
        shape = self._whole(schema, place._replace(merges=place.merges + 1))
        if not place.is_whole or shape.keys() == {"$ref"}:
            made = deepcopy(shape), self.reasons[self._current][before:]
            self._combined.update({(text, use): made for use in uses})
        return shape

    def _most_telling(self, schema: Schema, place: Place) -> Schema:
        """Return the shape of one part of a schema whose parts are too many to be combined."""
        self.drop(place, "allOf" if "allOf" in schema else "$ref")
        names = [ref_name(part) for part in (schema, *schema.get("allOf", ())) if part is not True]
        named = next(filter(None, names), "")
        return ref(named) if named else {**ANY}

    def _whole(self, schema: Schema, place: Place) -> Schema:
        """Return the shape of a schema in one piece."""
        dropped: list[str] = []
        whole = self._conjoiner.conjoin(schema, dropped.append)
        if "enum" in whole.keywords and not whole.is_false:
            return self._values(schema, whole.keywords["enum"], place)
        for keyword in dropped:
            self.drop(place, keyword)
        return self._piece(whole, place, schema)

    def _values(self, schema: Schema, options: list[Json], place: Place) -> Schema:
        """Return the shape of an enumeration; all of its schema decides which values are left."""
        # The options are those of its own `enum`: to look each of them up there takes too long.
        beside = {name: schema[name] for name in schema if name not in {"enum", "const"}}
        values = allowed_values(beside, options, self._definitions)
        if not values:
            self.drop(place, "enum")
            return {**ANY}
        names = member_names(schema, values)
        if names is not None:
            shape = {"type": "integer", "enum": values, "x-enum-varnames": names}
            return shape if place.is_whole else self._named(shape, place)
        shape, is_exact = literal(values)
        if not is_exact:
            self.drop(place, "const" if "const" in schema else "enum")
        return shape

    def _piece(self, whole: Conjunction, place: Place, source: Schema) -> Schema:
        """Return the shape of a schema in one piece.

        Args:
            whole: The schema.
            place: Where it stands.
            source: The schema as it was written, for its documentation.
        """
        if whole.is_false:
            self.drop(place, "")
            return {**ANY}
        for keyword in _unenforced(whole.keywords):
            self.drop(place, keyword)
        return (
            self._choice(whole, place, source)
            if whole.choices
            else self._types(whole, place, source)
        )

    def _choice(self, whole: Conjunction, place: Place, source: Schema) -> Schema:
        """Return the union of the branches of a choice, each with all that stands beside it."""
        choice, *rest = whole.choices
        others: list[Choice] = []
        count = len(choice.branches)
        for other in rest:
            if count * len(other.branches) > _MAX_COMBINATIONS:
                self.drop(place, other.keyword)
            else:
                count *= len(other.branches)
                others.append(other)
        is_unclear = place.merges >= _MAX_MERGES - 1 and bool(whole.keywords or others)
        if is_unclear or any(map(_is_bare, choice.branches)):
            self.drop(place, choice.keyword)
            return self._piece(Conjunction(whole.keywords, others), place, source)
        beside = {**whole.keywords, "allOf": [other.schema for other in others]}
        if not others:
            del beside["allOf"]
        branches = self._branches(choice.branches, beside)
        if not branches:
            self.drop(place, choice.keyword)
            return {**ANY}
        if choice.keyword == "oneOf" and not are_exclusive(branches, self._conjoiner):
            self.drop(place, "oneOf")
        return self._union(branches, place, choice.keyword, choice.tag)

    def _branches(self, branches: list[Json], beside: Schema) -> list[Json]:
        """Return the branches that allow values, with what stands beside the choice."""
        combined = [self._with_siblings(branch, beside) for branch in branches]
        return [branch for branch in combined if not self._is_false(branch)]

    def _is_false(self, schema: Json) -> bool:
        """Return whether it is plain that a schema allows no value."""
        whole = self._conjoiner.conjoin(schema, lambda _: None)
        if whole.is_false or not whole.choices:
            return whole.is_false
        branches = [all_of(whole.keywords, branch) for branch in whole.choices[0].branches]
        return all(self._conjoiner.conjoin(each, lambda _: None).is_false for each in branches)

    def _with_siblings(self, branch: Json, beside: Schema) -> Json:
        """Return a branch with what stands beside the choice, unless that adds nothing."""
        if not beside or branch is False:
            return branch
        if beside.keys() == {"type"}:
            inner = self._conjoiner.conjoin(branch, lambda _: None)
            if "type" in inner.keywords and {*inner.types} <= {*types_of(beside)}:
                return branch
        combined = all_of(beside, branch)
        title = branch.get("title") if isinstance(branch, dict) else None
        return {**combined, "title": title} if title and isinstance(combined, dict) else combined

    def _union(self, branches: list[Json], place: Place, keyword: str, tag: str) -> Schema:
        """Return the union of the shapes of branches."""
        is_single = sum(not _is_null(branch) for branch in branches) == 1
        shapes: list[Schema] = []
        for at, branch in enumerate(branches):
            keeps_name = is_single and not place.is_whole
            suffix = "" if keeps_name else self._branch_name(branch, at + 1, tag)
            has_room = is_single and (place.is_member or place.is_whole)
            inner = place.inside(suffix, keyword, at)._replace(is_member=has_room)
            shapes.append(self._branch(self._shape(branch, inner), inner))
        found = self._bounded_union(shapes, place, keyword)
        if tag and "anyOf" in found:
            found = {**found, "discriminator": {"propertyName": tag}}
            return found if place.is_whole else self._named(found, place)
        return found

    def _bounded_union(self, shapes: list[Schema], place: Place, keyword: str) -> Schema:
        """Return a union that compilers of Python can read: they nest each member of one."""
        found = union(shapes)
        if len(found.get("anyOf", ())) <= _MAX_UNION:
            return found
        self.drop(place, keyword)
        return {**ANY}

    def _branch_name(self, branch: Json, number_: int, tag: str) -> str:
        """Name a branch by its title, by the value of a member, or by its number.

        Args:
            branch: The branch.
            number_: Its number.
            tag: The member whose value comes first, that of a `discriminator`.
        """
        if isinstance(branch, dict):
            for candidate in (branch.get("title"), *_tag_values(branch, tag), *_constants(branch)):
                if isinstance(candidate, str) and naming.words(candidate):
                    return self.class_name(candidate)
        return f"Option{number_}"

    def _types(self, whole: Conjunction, place: Place, source: Schema) -> Schema:
        """Return the union of a shape for each type that a schema allows."""
        kinds = [*whole.types]
        if not whole.keywords.keys() - _FORMLESS:
            return {**ANY}
        if len(kinds) == 1:
            return self._typed(kinds[0], whole.keywords, place, source)
        if "type" in whole.keywords and "number" in kinds and "integer" in kinds:
            kinds.remove("integer")
        is_single = len(kinds) == 1 + ("null" in kinds)
        shapes: list[Schema] = []
        for kind in kinds:
            keeps_name = is_single and not place.is_whole
            inner = place.inside("" if keeps_name else kind.capitalize())
            has_room = is_single and (place.is_member or place.is_whole)
            inner = inner._replace(is_member=has_room, pointer=place.pointer, depth=place.depth)
            shape = self._typed(kind, whole.keywords, inner, source)
            shapes.append(self._branch(shape, inner))
        if len(kinds) == len(TYPES) and all(map(_is_plain, shapes)):
            return {**ANY}
        return union(shapes)

    def _branch(self, shape: Schema, place: Place) -> Schema:
        """Return the shape of a branch of a union; beside null alone, it may keep its bounds."""
        has_room = place.is_member and holds_bounds_with_null(shape)
        return self._without_bounds(shape, place._replace(is_member=has_room))

    def _typed(self, kind: str, keywords: Schema, place: Place, source: Schema) -> Schema:
        """Return the shape of the values of one type."""
        match kind:
            case "object" if needs_class(keywords):
                make = partial(object_, self, keywords)
                return self._define(make, source, place)
            case "object":
                return object_(self, keywords, place)
            case "array":
                return array(self, keywords, place)
            case "string":
                return string(keywords, partial(self.drop, place))
            case "integer" | "number":
                return number(kind, keywords, partial(self.drop, place))
            case _:
                return {"type": kind}

    def _define(self, make: Callable[[Place], Schema], source: Schema, place: Place) -> Schema:
        """Return the shape of a class, or the reference to it if it needs a name."""
        if place.is_whole:
            return make(place)
        name = self._unique(place.name)

        def definition() -> Schema:
            return {**make(place.hoisted(name)), **_documentation(source)}

        self._pending.append((name, definition))
        return ref(name)

    def _heir(self, parts: Heir, place: Place) -> Schema:
        """Return the shape of a class with base classes."""
        bases = [ref(base) for base in parts.bases]
        if not parts.own.get("properties"):
            return {"allOf": bases}
        return {"allOf": [*bases, object_(self, parts.own, place)]}

    def _without_bounds(self, shape: Schema, place: Place) -> Schema:
        """Return a shape, or the reference to it if its place cannot hold its bounds."""
        if place.is_whole or place.is_member or not is_bounded(shape):
            return shape
        kinds = shape.get("type")
        if isinstance(kinds, list):
            return union([self._named({**shape, "type": kinds[0]}, place), {**NULL}])
        return self._named(shape, place)

    def _named(self, shape: Schema, place: Place) -> Schema:
        """Give a shape a name of its own, and return the reference to it."""
        name = self._unique(place.name)
        self.shapes[name] = shape
        self.reasons[name] = []
        return ref(name)

    def _unique(self, name: str) -> str:
        found = name = name[: naming.MAX_LENGTH]
        while found in self._taken:
            self._numbers[name] = self._numbers.get(name, 1) + 1
            found = f"{name}{self._numbers[name]}"
        self._taken.add(found)
        return found


def _constants(branch: Schema) -> Iterator[Json]:
    """Yield the constants of members."""
    members: dict[str, Json] = branch.get("properties", {})
    for member in members.values():
        if isinstance(member, dict):
            yield member.get("const")


def _tag_values(branch: Schema, tag: str) -> Iterator[Json]:
    """Yield the values that a branch allows for the member of its `discriminator`.

    The names in a `mapping` are demanded by the last part of an `allOf`; the parts before may hold
    for all branches.
    """
    own: Json = branch.get("allOf", [branch])[-1]
    members: dict[str, Json] = own.get("properties", {}) if isinstance(own, dict) else {}
    member = members.get(tag)
    if isinstance(member, dict):
        yield member.get("const")
        yield from member.get("enum", [])


def _unenforced(keywords: Schema) -> Iterator[str]:
    """Yield the keywords for values of every type that no shape enforces."""
    if "not" in keywords:
        yield "not"
    if "if" in keywords and keywords.keys() & {"then", "else"}:
        yield "if"


def _documentation(schema: Json) -> Schema:
    """Return the documentation of a schema that becomes a class or an alias."""
    if not isinstance(schema, dict):
        return {}
    return {each: schema[each] for each in ("description", "deprecated") if each in schema}


def _is_bare(branch: Json) -> bool:
    """Return whether a branch says nothing about the form of its values."""
    demands: set[str] = branch.keys() - ANNOTATIONS if isinstance(branch, dict) else set()
    return bool(demands) and _TELLING.isdisjoint(demands)


def _is_null(schema: Json) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "null"


def _is_plain(shape: Schema) -> bool:
    """Return whether a shape allows all values of its type."""
    items = [shape[name] for name in ("items", "additionalProperties") if name in shape]
    return shape.keys() <= {"type", "items", "additionalProperties"} and all(map(is_any, items))
