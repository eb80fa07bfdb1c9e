"""Validators for messages of many values, which stop at the first invalid item of a collection.

Others collect one error for each missing member of each item, a thousand times the memory of the
message. They are faster to build: they use those of the models, whose rules cannot be changed.
"""

from typing import Any, Final, cast

from pydantic_core import SchemaValidator, core_schema

from weenats.codec.validators import STRICT, adapter, core_config, quick, replace_parts

__all__ = ["careful_validator", "has_open_objects"]
_REFUSED: Final = object()
_OPEN: Final = frozenset({"extras_schema", "values_schema"})


def careful_validator(
    kind: Any, invalid: object, schema: core_schema.CoreSchema | None = None
) -> SchemaValidator:
    """Return a validator that returns one value for all JSON that is not of its type.

    Args:
        kind: the type.
        invalid: the value for what is not of the type.
        schema: another schema for the type, which is strict by itself.
    """
    careful = core_schema.with_default_schema(
        _careful(quick(schema or adapter(kind).core_schema)), default=invalid, on_error="default"
    )
    rules = core_config(kind) if schema is None else cast("core_schema.CoreConfig", STRICT)
    # As pydantic does to rebuild a model.
    return SchemaValidator(careful, rules, _use_prebuilt=False)


def has_open_objects(part: object) -> bool:
    """Return whether a schema has objects whose members it does not name.

    Only for them, a careful validator calls Python.

    Args:
        part: the schema, or a part of it.
    """
    if isinstance(part, list | tuple):
        return any(map(has_open_objects, cast("list[object]", part)))
    if not isinstance(part, dict):
        return False
    schema = cast("dict[str, object]", part)
    return not _OPEN.isdisjoint(schema) or any(map(has_open_objects, schema.values()))


def _careful(part: object) -> Any:
    """Return a schema in which a value that is not valid has no errors of its own."""
    if not isinstance(part, dict):
        return replace_parts(part, _careful)
    schema: dict[str, Any] = replace_parts(cast("object", part), _careful)
    match schema.get("type"):
        case "dict" if "values_schema" in schema:
            return _checked(_check_values, schema, "values_schema")
        case "model-fields" | "typed-dict" if "extras_schema" in schema:
            return _checked(_check_fields, schema, "extras_schema")
        case _:
            return schema


def _checked(check: Any, schema: dict[str, Any], member: str) -> Any:
    """Return a schema of an object that marks the values of one member, and checks them at once."""
    marked = core_schema.with_default_schema(schema[member], default=_REFUSED, on_error="default")
    unnamed = {name: each for name, each in schema.items() if name != "ref"}
    return core_schema.no_info_after_validator_function(
        check, cast("Any", {**unnamed, member: marked}), ref=schema.get("ref")
    )


def _check_values(values: dict[Any, Any]) -> dict[Any, Any]:
    if any(value is _REFUSED for value in values.values()):
        raise ValueError
    return values


def _check_fields(fields: dict[Any, Any] | tuple[Any, ...]) -> object:
    extra: dict[Any, Any] | None = fields[1] if isinstance(fields, tuple) else fields
    _check_values(extra or {})
    return fields
