"""Values that match schemas, always the same for the same schema."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from weenats_codegen.ir.bundle import PREFIX
from weenats_codegen.ir.shapes.conjunction import Conjoiner, Conjunction, all_of
from weenats_codegen.ir.sizes import size_of
from weenats_codegen.ir.validity import all_definitions_validator
from weenats_codegen.samples.patterns import text_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import jsonschema_rs
    from pydantic import JsonValue

    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.ir.contract import Aggregate
    from weenats_codegen.ir.shapes.grammar import Json, Schema

_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 100
_MAX_LENGTH: Final = 10_000
_MAX_PARTS: Final = 2_000
"""How many parts a value may have: schemas that refer to others twice may ask for many."""
_MAX_STEPS: Final = 20_000
"""How many parts are made for one definition with all optional members, then with none."""
_ALL_STEPS: Final = 100_000
"""How many parts are made for the definitions of a bundle together."""
_LEAST_STEPS: Final = 500
"""How many parts are made for each definition after that."""
_NONE: Final[Any] = object()
_FORMATS: Final = {
    "date": "2026-03-01", "time": "09:30:00Z", "date-time": "2026-03-01T09:30:00Z",
    "duration": "PT15M", "uuid": "4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57",
    "email": "ada@example.com", "hostname": "example.com", "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1", "uri": "https://example.com/1", "uri-reference": "/1", "regex": "^a$",
    "json-pointer": "/a",
}  # fmt: skip


class Sampler:
    """Makes values for the schemas of a bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Initialize a sampler.

        Args:
            bundle: The schemas.
        """
        self._bundle: Final = bundle
        self._maker: Final = _Maker(bundle)
        self._known: Final[dict[str, list[JsonValue]]] = {}
        self._too_large: Final[set[str]] = set()

    def definition(self, name: str) -> list[JsonValue]:
        """Return values that match a definition: its valid examples, else one that is made up.

        Args:
            name: The name of the definition.

        Returns:
            The values, the best one first; none if no value could be found.
        """
        if name not in self._known:
            self._known[name] = self._values(name)
        return self._known[name]

    def is_too_large(self, name: str) -> bool:
        """Return whether a definition has no value because those that match would be too large.

        Args:
            name: The name of the definition.
        """
        return not self.definition(name) and name in self._too_large

    def key(self, aggregate: Aggregate) -> str | None:
        """Return a key of an aggregate as it is in messages, None if no key was found.

        Args:
            aggregate: The aggregate.
        """
        if not aggregate.key:
            return f"{aggregate.name[0].lower()}-1"
        values = self.definition(aggregate.key)
        return str(values[0]) if values else None

    @cached_property
    def _validator(self) -> jsonschema_rs.Validator:
        return all_definitions_validator(self._bundle)

    def _values(self, name: str) -> list[JsonValue]:
        def is_valid(value: Json) -> bool:
            return self._validator.is_valid({name: value})

        ref: Schema = {"$ref": f"{PREFIX}{name}"}
        examples = [each for each in _examples(self._bundle, ref) if is_valid(each)]
        if examples:
            return examples
        found = next((value for value in self._maker.candidates(ref) if is_valid(value)), _NONE)
        if self._maker.is_cut:
            self._too_large.add(name)
        return [] if found is _NONE else [found]


def _examples(bundle: Bundle, schema: Json) -> list[Any]:
    found: object = _annotation(bundle, schema, "examples")
    return cast("list[object]", found) if isinstance(found, list) else []


def _annotation(bundle: Bundle, schema: Json, keyword: str) -> Any:
    """Return the value of a keyword of a schema, or of the one that it refers to."""
    seen: set[str] = set()
    part = schema
    while isinstance(part, dict):
        if keyword in part:
            return part[keyword]
        name = str(part.get("$ref", "")).removeprefix(PREFIX)
        if not name or name in seen:
            break
        seen.add(name)
        part = cast("Json", bundle.definitions.get(name))
    return _NONE


class _Made(NamedTuple):
    """A value and how many parts it has: equal ones may be one object, and count each time."""

    value: Any
    parts: int


_CUT: Final = _Made(None, 1)
"""What stands for a value that is too large or too deep."""


class _Schema(NamedTuple):
    """What is known of a schema.

    Attributes:
        schema: The schema, which is kept so that no other one gets its id.
        examples: Its examples.
        default: Its default; `_NONE` if it has none.
        whole: The schema in one piece.
        rests: By branch, what is left to match once the choices are made.
    """

    schema: Json
    examples: list[Any]
    default: Any
    whole: Conjunction
    rests: dict[int, Json]


class _Maker:
    """Makes candidates for values: not all of them match.

    Each schema is looked at once, and each value of it is made once for each depth.

    Attributes:
        is_cut: Whether some of the last candidates, all of the same kind, were too large or took
            too many steps.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.is_cut = False
        self._bundle: Final = bundle
        self._conjoiner: Final = Conjoiner(bundle.definitions)
        self._schemas: Final[dict[int, _Schema]] = {}
        self._made: Final[dict[tuple[int | str, ...], _Made]] = {}
        self._all_steps = _ALL_STEPS
        self._steps = 0

    def candidates(self, schema: Json) -> Iterator[Any]:
        """Yield values with all optional members, then with the required ones alone."""
        for is_full in (True, False):
            self.is_cut = False
            self._steps = max(_LEAST_STEPS, min(_MAX_STEPS, self._all_steps))
            for branch in range(8):
                made = self._value(schema, 0, branch, is_full=is_full, name="")
                if made is not _CUT:
                    yield made.value

    def _value(self, schema: Json, depth: int, branch: int, *, is_full: bool, name: str) -> _Made:
        key = (id(schema), depth, branch, is_full)
        made = self._made.get(key) or self._made.get((*key, name))
        if made is not None:
            return made
        if depth > 4 * _MAX_DEPTH:
            return _CUT
        if self._steps <= 0:
            self.is_cut = True
            return _CUT
        self._steps -= 1
        self._all_steps -= 1
        made = self._new(schema, depth, branch, is_full=is_full, name=name)
        if made.parts > _MAX_PARTS:
            self.is_cut = True
            made = _CUT
        if self._steps > 0:  # otherwise parts of it may be missing, which others can have
            # Texts may have the names of members.
            self._made[(*key, name) if isinstance(made.value, str) else key] = made
        return made

    def _known(self, schema: Json) -> _Schema:
        known = self._schemas.get(id(schema))
        if known is None:
            known = self._schemas[id(schema)] = _Schema(
                schema,
                _examples(self._bundle, schema),
                _annotation(self._bundle, schema, "default"),
                self._conjoiner.conjoin(schema, lambda _: None),
                {},
            )
        return known

    def _new(  # noqa: C901, PLR0911 - one return a kind of value
        self, schema: Json, depth: int, branch: int, *, is_full: bool, name: str
    ) -> _Made:
        known = self._known(schema)
        if depth and known.examples:
            return _sized(known.examples[branch % len(known.examples)])
        if branch == 0 and known.default is not _NONE:
            return _sized(known.default)
        whole = known.whole
        if whole.choices and depth < 3 * _MAX_DEPTH:
            if branch not in known.rests:
                chosen = [each.branches[branch % len(each.branches)] for each in whole.choices]
                known.rests[branch] = all_of(dict(whole.keywords), *chosen)
            return self._value(known.rests[branch], depth + 1, branch, is_full=is_full, name=name)
        keywords = whole.keywords
        if keywords.get("enum"):
            values = keywords["enum"]
            return _sized(values[branch % len(values)])
        kinds = [kind for kind in whole.types if kind != "null"] or ["null"]
        if len(kinds) == 6:  # noqa: PLR2004 - any type: a text says most
            kinds = _implied(keywords)
        kind = kinds[branch % len(kinds)]
        if kind == "object":
            return self._object(keywords, depth, branch, is_full=is_full)
        if kind == "array":
            return self._array(keywords, depth, branch, is_full=is_full)
        if kind == "string":
            return _sized(_string(keywords, name, branch))
        if kind in {"integer", "number"}:
            return _Made(_number(keywords, kind, branch), 1)
        return _Made(True if kind == "boolean" else None, 1)

    def _object(self, keywords: Schema, depth: int, branch: int, *, is_full: bool) -> _Made:
        properties: dict[str, Any] = keywords.get("properties", {})
        required = list(keywords.get("required", ()))
        others: Json = keywords.get("additionalProperties", True)
        wished = [*properties] if is_full and depth < _MAX_DEPTH else []
        most = keywords.get("maxProperties", math.inf)
        result: dict[str, _Made] = {}
        unnamed = _unnamed(keywords)
        needed = frozenset(required)
        for member in dict.fromkeys([*required, *wished]):
            schema = properties.get(member, unnamed)
            if schema is False or (len(result) >= most and member not in needed):
                continue
            result[member] = (
                self._value(schema, depth + 1, branch, is_full=is_full, name=member)
                if depth < 2 * _MAX_DEPTH
                else _CUT
            )
        names = _names(keywords)
        least = max(keywords.get("minProperties", 0), int(isinstance(others, dict) and is_full))
        for number in range(_MAX_ITEMS):
            if len(result) >= min(least, most) or depth >= _MAX_DEPTH:
                break
            member = names(number)
            result[member] = self._value(unnamed, depth + 1, branch, is_full=is_full, name=member)
        value = {member: made.value for member, made in result.items()}
        return _Made(value, 1 + sum(made.parts for made in result.values()))

    def _array(self, keywords: Schema, depth: int, branch: int, *, is_full: bool) -> _Made:
        first: list[Json] = keywords.get("prefixItems", [])
        items: Json = keywords.get("items", True)
        contains: list[Json] = []
        if "contains" in keywords:
            contains = [keywords["contains"]] * min(keywords.get("minContains", 1), _MAX_ITEMS)
        least = max(keywords.get("minItems", 0), len(contains))
        wished = len(first) or int(is_full and depth < _MAX_DEPTH and items is not True)
        count = min(max(least, wished), keywords.get("maxItems", _MAX_ITEMS), _MAX_ITEMS)
        schemas: list[Json] = [*first, *contains[: max(0, count - len(first))]]
        schemas += [items] * (count - len(schemas))
        result = [
            self._value(
                each, depth + 1, branch + (index if "uniqueItems" in keywords else 0),
                is_full=is_full, name="",
            )
            for index, each in enumerate(schemas[:count])
        ]  # fmt: skip
        return _Made([made.value for made in result], 1 + sum(made.parts for made in result))


def _sized(value: Any) -> _Made:
    return _Made(value, size_of(value))


def _unnamed(keywords: Schema) -> Any:
    """Return the schema of a member that `properties` does not name."""
    patterns: dict[str, Any] = keywords.get("patternProperties", {})
    return next(iter(patterns.values()), keywords.get("additionalProperties", True))


def _implied(keywords: Schema) -> list[str]:
    """Return the type that the keywords of a schema without types are about."""
    if not keywords.keys().isdisjoint({"properties", "required", "additionalProperties"}):
        return ["object"]
    if not keywords.keys().isdisjoint({"items", "prefixItems", "minItems", "contains"}):
        return ["array"]
    if not keywords.keys().isdisjoint({"minimum", "maximum", "multipleOf", "exclusiveMinimum"}):
        return ["number"]
    return ["string"]


def _names(keywords: Schema) -> Callable[[int], str]:
    patterns = [*keywords.get("patternProperties", {})]
    wanted: Json = keywords.get("propertyNames")
    if isinstance(wanted, dict) and isinstance(wanted.get("pattern"), str):
        patterns.append(wanted["pattern"])
    base = (text_for(patterns[0]) if patterns else None) or "key"

    def name(number: int) -> str:
        return base if number == 0 else f"{base}{number + 1}"

    return name


def _string(keywords: Schema, name: str, branch: int) -> str:
    form = str(keywords.get("format"))
    if form in _FORMATS:
        return _FORMATS[form]
    if keywords.get("contentEncoding") == "base64":
        return "dGV4dA=="
    if isinstance(pattern := keywords.get("pattern"), str):
        found = text_for(pattern)
        if found is not None:
            least = min(int(keywords.get("minLength", 0)), _MAX_LENGTH)
            return found + (found[-1:] or "a") * max(0, least - len(found))
    text = name or "text"
    text = f"{text}{branch + 1}" if branch else text
    least = min(int(keywords.get("minLength", 0)), _MAX_LENGTH)
    text += "x" * (least - len(text))
    most = keywords.get("maxLength", len(text))
    return text[: max(0, int(most))]


def _number(keywords: Schema, kind: str, branch: int) -> Any:
    low = keywords.get("minimum", -math.inf)
    high = keywords.get("maximum", math.inf)
    above, below = keywords.get("exclusiveMinimum", low), keywords.get("exclusiveMaximum", high)
    step = keywords.get("multipleOf", 1)
    start = max(low, above, -math.inf if min(high, below) < 1 else 1)
    if start == -math.inf:
        start = min(high, below) if min(high, below) != math.inf else 1
    if not math.isfinite(start / step):
        return int(start) if kind == "integer" else start
    whole = math.ceil(start / step) if start >= max(low, above) else math.floor(start / step)
    for offset in (branch, branch + 1, -1 - branch):
        value = (whole + offset) * step
        if (
            low <= value <= high
            and (value > above or above == low)
            and (value < below or below == high)
        ):
            return int(value) if kind == "integer" or float(value).is_integer() else value
    middle = (max(low, above) + min(high, below)) / 2
    return middle if kind == "number" and math.isfinite(middle) else int(start)
