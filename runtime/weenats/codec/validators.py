"""Validators that return dictionaries instead of models.

They have the rules of the models and take half the time; for envelopes, which are read only once.
"""

from collections.abc import Callable
from operator import is_not
from types import NoneType
from typing import Annotated, Any, Final, NotRequired, Required, Union, cast, get_args, get_origin

from pydantic import MISSING, ConfigDict, TypeAdapter, with_config
from pydantic.fields import FieldInfo
from pydantic_core import SchemaValidator, core_schema
from typing_extensions import TypedDict

from weenats.model import OMIT_NONE, Model
from weenats.schema.part import is_model

__all__ = [
    "CLOSED",
    "STRICT",
    "UNREAD",
    "adapter",
    "core_config",
    "quick",
    "quiet_validator",
    "replace_parts",
    "typed_dict",
    "validator",
]
STRICT: Final = ConfigDict(
    strict=True, allow_inf_nan=False, ser_json_inf_nan="constants", hide_input_in_errors=True
)
"""The rules of all messages."""
CLOSED: Final = ConfigDict(
    strict=True, allow_inf_nan=False, hide_input_in_errors=True, extra="forbid"
)
"""Refuses members that the model does not have, which are ignored otherwise."""

_ITEMS: Final = ("list", "set", "frozenset", "tuple")
_FIRST: Final = {
    str: core_schema.str_schema(strict=True),
    bool: core_schema.bool_schema(strict=True),
}


@with_config(STRICT)
class _Unread(TypedDict):
    pass


UNREAD: Final = NotRequired[_Unread]
"""An object with any members, which are not turned into Python objects."""


def typed_dict(model: type[Model], config: ConfigDict = STRICT, /, **members: Any) -> Any:
    """Return a TypedDict with the member names and the rules of a model on the wire.

    Args:
        model: the model; models within it become dictionaries too.
        config: the rules of all dictionaries.
        members: by wire name, another type for a member, which is then required unless it is
            NotRequired; None leaves the member out.
    """
    fields: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        wire_name = info.alias or name
        if wire_name not in members:
            fields[wire_name] = _member(info, config)
        elif members[wire_name] is not None:
            given = members[wire_name]
            fields[wire_name] = given if get_origin(given) is NotRequired else Required[given]
    return with_config(config)(TypedDict(model.__name__, fields))  # type: ignore[operator]


def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return the adapter of a type, with the rules of all messages.

    Args:
        kind: the type.
    """
    return TypeAdapter(kind) if _has_config(kind) else TypeAdapter(kind, config=STRICT)


def validator(kind: Any) -> Any:
    """Return the validator of a type, for `validate_json`.

    Args:
        kind: the type.
    """
    return TypeAdapter(kind).validator


def quiet_validator(
    kind: Any, invalid: object = None, schema: core_schema.CoreSchema | None = None
) -> SchemaValidator:
    """Return a validator that returns one value for all JSON that is not of its type.

    An error of pydantic holds what it is about as Python objects, which take a hundred times as
    long to create as the JSON takes to read.

    Args:
        kind: the type.
        invalid: the value for what is not of the type.
        schema: another schema for the type, which is strict by itself; its models are built anew.
    """
    own = schema or adapter(kind).core_schema
    uses_prebuilt = schema is None
    # The validator that a model has is used as it is.
    part = own if uses_prebuilt and own["type"] == "model" else quick(own)
    return SchemaValidator(
        core_schema.with_default_schema(part, default=invalid, on_error="default"),
        core_config(kind) if uses_prebuilt else cast("core_schema.CoreConfig", STRICT),
        _use_prebuilt=uses_prebuilt,
    )


def core_config(kind: Any) -> core_schema.CoreConfig | None:
    """Return the rules of all messages for a type without rules of its own.

    Args:
        kind: the type.
    """
    return None if _has_config(kind) else cast("core_schema.CoreConfig", STRICT)


def _has_config(kind: Any) -> bool:
    return is_model(kind) or hasattr(kind, "__pydantic_config__")


def quick(part: object) -> Any:
    """Return a schema that spends little on what it refuses.

    Its literals turn nothing of another type into Python objects, its lists end with the first item
    that is invalid.

    Args:
        part: the schema, or a part of it.
    """
    if not isinstance(part, dict):
        return replace_parts(part, quick)
    schema: dict[str, Any] = replace_parts(cast("object", part), quick)
    if schema.get("type") == "literal":
        types = set(map(type, schema["expected"]))
        for kind, first in _FIRST.items():
            if types == {kind}:
                values = {name: each for name, each in schema.items() if name != "ref"}
                return core_schema.chain_schema([first, cast("Any", values)], ref=schema.get("ref"))
    is_collection = any(schema.get("type") == each for each in _ITEMS)  # or a member named `type`
    return {**schema, "fail_fast": True} if is_collection else schema


def replace_parts(part: object, replaced: Callable[[object], object]) -> Any:
    """Return a schema with other parts; the same object if none of them is another one.

    A validator keeps its schema: what stays the same must not take memory again.

    Args:
        part: the schema, or a part of it.
        replaced: returns what replaces a part of this part, or the part itself.
    """
    if isinstance(part, dict):
        schema = cast("dict[str, object]", part)
        parts = {name: replaced(each) for name, each in schema.items()}
        return parts if any(parts[name] is not each for name, each in schema.items()) else schema
    if isinstance(part, list | tuple):  # a tuple is a choice of a union with its label
        items = cast("list[object] | tuple[object, ...]", part)
        others = list(map(replaced, items))
        return type(items)(others) if any(map(is_not, others, items)) else items
    return part


def _member(info: FieldInfo, config: ConfigDict) -> Any:
    annotation: Any = info.annotation
    # A member that is there has a value: neither MISSING, nor None if that means the same.
    rules = [rule for rule in info.metadata if rule not in OMIT_NONE.metadata]
    absent = (MISSING,) if len(rules) == len(info.metadata) else (MISSING, NoneType)
    if get_origin(annotation) is Union or get_origin(annotation) is type(int | str):
        present = [each for each in get_args(annotation) if each not in absent]
        annotation = Union[tuple(present)]  # noqa: UP007 - a union that is made at run time
    if isinstance(annotation, type) and issubclass(annotation, Model):
        annotation = typed_dict(annotation, config)
    for rule in rules:
        annotation = Annotated[annotation, rule]
    return Required[annotation] if info.is_required() else NotRequired[annotation]
