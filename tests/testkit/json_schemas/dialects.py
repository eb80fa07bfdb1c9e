"""Schemas of JSON Schema 2020-12 written in other dialects, as far as these can say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_OLD: Final = "http://json-schema.org/draft-0{}/schema#"
URIS: Final = (
    *(_OLD.format(4), _OLD.format(6), _OLD.format(7)),
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
_SINCE: Final = {
    "const": 6, "contains": 6, "propertyNames": 6, "if": 7, "then": 7, "else": 7, "minContains": 8,
    "maxContains": 8, "unevaluatedItems": 8, "unevaluatedProperties": 8,
}  # fmt: skip
"""The draft that introduced a keyword; 8 is 2019-09, 9 is 2020-12."""
DATA: Final = frozenset({"enum", "const", "default", "required", "dependentRequired"})
NAMED: Final = frozenset({
    "properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions",
})  # fmt: skip


def written_in(uri: str | None, schema: Any, chance: Callable[[int], bool]) -> Any:
    """Return a schema in a dialect; keywords that the dialect does not have are left out.

    Args:
        uri: the `$schema` of the dialect, None for a schema that declares none.
        schema: the schema.
        chance: returns True with a probability, to choose between two ways to write the same.
    """
    if uri is None:
        return schema
    draft = URIS.index(uri) + 4 if uri in URIS[:1] else URIS.index(uri) + 5
    return {"$schema": uri, **_rewritten(schema, draft, anchors=draft >= 8 and chance(30))}


def _rewritten(schema: Any, draft: int, *, anchors: bool) -> Any:
    if isinstance(schema, bool):
        return ({} if schema else {"not": {}}) if draft == 4 else schema
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if _SINCE.get(key, 0) > draft and key != "const":
            continue
        if key in NAMED:
            part: Any = {
                name: _rewritten(each, draft, anchors=anchors) for name, each in value.items()
            }
        elif key in DATA or not isinstance(value, dict | list):
            part = value
            if isinstance(value, bool) and key in {"items", "contains", "not"}:
                part = _rewritten(value, draft, anchors=anchors)
        elif isinstance(value, list):
            part = [
                _rewritten(e, draft, anchors=anchors) if isinstance(e, dict | bool) else e
                for e in value
            ]
        else:
            part = _rewritten(value, draft, anchors=anchors)
        result[key] = part
    return _renamed(result, draft, anchors=anchors)


def _renamed(schema: dict[str, Any], draft: int, *, anchors: bool) -> dict[str, Any]:
    result = dict(schema)
    result.pop("nullable", None)
    if draft < 9 and "prefixItems" in result:
        rest = result.pop("items", None)
        result["items"] = result.pop("prefixItems")
        if rest is not None:
            result["additionalItems"] = rest
    if draft < 8:
        if "$ref" in result:
            result["$ref"] = result["$ref"].replace("$defs", "definitions")
        if "$defs" in result:
            result["definitions"] = result.pop("$defs")
        dependencies = result.pop("dependentRequired", {}) | result.pop("dependentSchemas", {})
        if draft == 4:
            dependencies = {k: v for k, v in dependencies.items() if v != []}
        if dependencies:
            result["dependencies"] = dependencies
    if draft == 4:
        if "const" in result:
            result["enum"] = [result.pop("const")]
        if result.get("required") == []:
            del result["required"]
        for key, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if exclusive in result:
                result[key] = result[exclusive]
                result[exclusive] = True
        for key in [key for key in result if key.startswith(("min", "max")) and key[3:4].isupper()]:
            result[key] = int(result[key])
    if anchors:
        ref = result.get("$ref", "")
        if ref.startswith("#/$defs/"):
            result["$ref"] = "#" + ref.removeprefix("#/$defs/").lower()
        if "$defs" in result:
            result["$defs"] = {
                name: {**each, "$anchor": name.lower()}
                if isinstance(each, dict)
                else {"allOf": [each], "$anchor": name.lower()}
                for name, each in result["$defs"].items()
            }
    return result
