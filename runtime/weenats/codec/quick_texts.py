"""Schemas that read texts with a format, such as date-times, without a call of Python.

What they refuse may be valid: the schema that they are made from decides it.
"""

from typing import Any, Final, cast

from pydantic_core import CoreSchema

from weenats.codec.validators import replace_parts
from weenats.formats import quick_schema

__all__ = ["with_quick_texts"]
_WITH_CONFIG: Final = ("dataclass", "model", "typed-dict")
_CHOICES: Final = ("tagged-union", "union")
"""Here a quick schema would change the choice: pydantic prefers what it need not convert."""


def with_quick_texts(schema: CoreSchema) -> CoreSchema | None:
    """Return a strict schema for JSON that reads what it accepts as another schema does.

    It is strict by itself, since a validator that is called with `strict=True` turns no text into
    a date-time that has been matched before.

    Args:
        schema: the schema.

    Returns:
        The schema; None if there is no text that can be read so.
    """
    found: list[CoreSchema] = []
    quick = _replaced(schema, found)
    return quick if found else None


def _replaced(part: object, found: list[CoreSchema] | None) -> Any:
    """Return a part of a schema with quick schemas, which are added to `found`; None for none."""
    given = part
    schema = cast("dict[str, Any]", given) if isinstance(given, dict) else dict[str, Any]()
    if found is not None and (quick := _quick(schema)) is not None:
        found.append(quick)
        return quick
    if any(schema.get("type") == each for each in _CHOICES):  # or a member named `type`
        found = None
    result = replace_parts(part, lambda each: _replaced(each, found))
    if any(schema.get("type") == each for each in _WITH_CONFIG):
        config = cast("dict[str, Any]", schema.get("config") or {})
        return result if config.get("strict") else {**result, "config": {**config, "strict": True}}
    return result


def _quick(schema: dict[str, Any]) -> CoreSchema | None:
    """Return the quick schema of a text with a format, None for other schemas."""
    if schema.get("type") != "json-or-python" or "ref" in schema:
        return None
    for_json = cast("dict[str, Any]", schema["json_schema"])
    if for_json.get("type") != "function-before":
        return None
    return quick_schema(for_json["function"]["function"])
