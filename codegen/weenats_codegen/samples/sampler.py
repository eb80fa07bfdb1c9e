"""Values that match schemas, always the same for the same schema."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from weenats_codegen.ir.bundle import PREFIX
from weenats_codegen.ir.shapes.conjunction import Conjoiner, all_of
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
"""How many parts a candidate may have: schemas that refer to themselves may ask for many."""
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
        self._conjoiner: Final = Conjoiner(bundle.definitions)
        self._known: Final[dict[str, list[JsonValue]]] = {}

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
        candidates = _Maker(self._bundle, self._conjoiner).candidates(ref)
        found = next((value for value in candidates if is_valid(value)), _NONE)
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


class _Maker:
    """Yields candidates for values: not all of them match."""

    def __init__(self, bundle: Bundle, conjoiner: Conjoiner) -> None:
        self._bundle = bundle
        self._conjoiner = conjoiner
        self._parts_left = 0

    def candidates(self, schema: Json) -> Iterator[Any]:
        """Yield values with all optional members, then with the required ones alone."""
        for is_full in (True, False):
            for branch in range(8):
                self._parts_left = _MAX_PARTS
                yield self._value(schema, 0, branch, is_full=is_full, name="")

    def _value(  # noqa: C901, PLR0911 - one return a kind of value
        self, schema: Json, depth: int, branch: int, *, is_full: bool, name: str
    ) -> Any:
        self._parts_left -= 1
        if depth > 4 * _MAX_DEPTH or self._parts_left < 0:
            return None
        if depth and (examples := _examples(self._bundle, schema)):
            return examples[branch % len(examples)]
        default = _annotation(self._bundle, schema, "default")
        if branch == 0 and default is not _NONE:
            return default
        whole = self._conjoiner.conjoin(schema, lambda _: None)
        if whole.choices and depth < 3 * _MAX_DEPTH:
            chosen = [each.branches[branch % len(each.branches)] for each in whole.choices]
            rest = all_of(dict(whole.keywords), *chosen)
            return self._value(rest, depth + 1, branch, is_full=is_full, name=name)
        keywords = whole.keywords
        if keywords.get("enum"):
            values = keywords["enum"]
            return values[branch % len(values)]
        kinds = [kind for kind in whole.types if kind != "null"] or ["null"]
        if len(kinds) == 6:  # noqa: PLR2004 - any type: a text says most
            kinds = _implied(keywords)
        kind = kinds[branch % len(kinds)]
        if kind == "object":
            return self._object(keywords, depth, branch, is_full=is_full)
        if kind == "array":
            return self._array(keywords, depth, branch, is_full=is_full)
        if kind == "string":
            return _string(keywords, name, branch)
        if kind in {"integer", "number"}:
            return _number(keywords, kind, branch)
        return True if kind == "boolean" else None

    def _object(self, keywords: Schema, depth: int, branch: int, *, is_full: bool) -> Any:
        properties: dict[str, Any] = keywords.get("properties", {})
        required = list(keywords.get("required", ()))
        others: Json = keywords.get("additionalProperties", True)
        wished = [*properties] if is_full and depth < _MAX_DEPTH else []
        most = keywords.get("maxProperties", math.inf)
        result: dict[str, Any] = {}
        for member in dict.fromkeys([*required, *wished]):
            schema = properties.get(member, _unnamed(keywords))
            if schema is False or (len(result) >= most and member not in required):
                continue
            result[member] = (
                self._value(schema, depth + 1, branch, is_full=is_full, name=member)
                if depth < 2 * _MAX_DEPTH
                else None
            )
        names = _names(keywords)
        least = max(keywords.get("minProperties", 0), int(isinstance(others, dict) and is_full))
        for number in range(_MAX_ITEMS):
            if len(result) >= min(least, most) or depth >= _MAX_DEPTH:
                break
            member = names(number)
            schema = _unnamed(keywords)
            result[member] = self._value(schema, depth + 1, branch, is_full=is_full, name=member)
        return result

    def _array(self, keywords: Schema, depth: int, branch: int, *, is_full: bool) -> Any:
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
        return [
            self._value(
                each, depth + 1, branch + (index if "uniqueItems" in keywords else 0),
                is_full=is_full, name="",
            )
            for index, each in enumerate(schemas[:count])
        ]  # fmt: skip


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
