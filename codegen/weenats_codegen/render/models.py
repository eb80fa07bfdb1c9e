"""Models out of a bundled schema: the only place that knows datamodel-code-generator."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final, cast

from datamodel_code_generator import Error, GenerateConfig, PythonVersion, generate
from datamodel_code_generator.enums import DataModelType, InputFileType, TargetPydanticVersion
from datamodel_code_generator.parser import LiteralType
from pydantic import BaseModel

from weenats_codegen.ir.schemas import NAMED, VALUES
from weenats_codegen.naming import field_name
from weenats_codegen.render.postprocess import polish

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.ir.schemas import Schema

# What is handed on. The rest steers the tool itself (x-python-type, customTypePath and the like)
# or says nothing to it.
_KEYWORDS: Final = frozenset({
    "$ref", "type", "enum", "const", "format", "default", "description", "discriminator",
    "properties", "required", "additionalProperties", "patternProperties", "propertyNames",
    "minProperties", "maxProperties", "items", "minItems", "maxItems", "minLength", "maxLength",
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "allOf", "anyOf", "oneOf",
})  # fmt: skip
# Formats that become a type of Python's own; any other is a word for people and leaves the type.
_FORMATS: Final = frozenset({
    "date-time", "date", "time", "duration", "uuid", "ipv4", "ipv6",
})  # fmt: skip
_FORMAT_TYPES: Final = frozenset({"AwareDatetime", "date", "time", "timedelta", "UUID"})
_IMPORT: Final = re.compile(
    r"^from (?P<module>datetime|uuid|pydantic) import (?P<names>.+)\n", re.MULTILINE
)
# What would hide a type that annotations name (E741 dislikes the letters).
_SHADOWS: Final = frozenset({
    "bool", "bytes", "dict", "float", "int", "list", "object", "set", "str", "tuple", "l",
})  # fmt: skip
# What pydantic keeps for itself (protected_namespaces).
_PROTECTED: Final = ("model_dump", "model_validate")
_MARK: Final = "# models"
# What the tool hands on to `Field` as `repr`.
_SHOWN: Final = "x-repr"


class UnsupportedSchemaError(Exception):
    """A schema that no model can be made of; the text says why."""


def render_models(bundle: Schema, *, base_class: str, header: str) -> str:
    """Return the module with a model for each definition; unformatted.

    Args:
        bundle: `{"$defs": {class name: schema}}`, as `bundle.Bundler` makes it.
        base_class: What every model extends, as a dotted path.
        header: The first lines: a comment, a docstring.
    """
    definitions = cast("dict[str, Schema]", bundle["$defs"])
    if not definitions:
        return f"{header}\n"
    descriptions: list[str] = []
    source = _generate(
        {"$defs": {name: _clean(schema, descriptions) for name, schema in definitions.items()}},
        base_class,
        _field_names(definitions),
    )
    module = ast.parse(source)
    made = {_defined(statement) for statement in module.body} - {None}
    if made != definitions.keys():
        strange = ", ".join(sorted(str(name) for name in made ^ definitions.keys()))
        raise UnsupportedSchemaError(f"{strange}: no such model can be made")
    return f"{header}\n{polish(_with_our_formats(source.removeprefix(_MARK)), descriptions)}"


def _generate(schema: Schema, base_class: str, field_names: Mapping[str, str]) -> str:
    """Call datamodel-code-generator."""
    config = GenerateConfig(
        input_file_type=InputFileType.JsonSchema,
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        target_pydantic_version=TargetPydanticVersion.V2_14,
        base_class=base_class,
        custom_file_header=_MARK,
        disable_timestamp=True,
        disable_future_imports=True,
        skip_root_model=True,
        use_annotated=True,
        field_constraints=True,
        snake_case_field=True,
        strict_nullable=True,
        use_missing_sentinel=True,
        use_standard_collections=True,
        use_union_operator=True,
        use_typed_nullable_map_values=True,
        use_typed_map_values_beside_other_types=True,
        use_type_alias=True,
        capitalise_enum_members=True,
        field_extra_keys_without_x_prefix={_SHOWN},
        enum_field_as_literal=LiteralType.All,
        use_schema_description=True,
        use_field_description=True,
        use_attribute_docstrings=True,
        aliases=dict(field_names),
        formatters=[],
    )
    try:
        source = generate(schema, config=config)
    except Error as error:
        raise UnsupportedSchemaError(" ".join(str(error).split())) from error
    if not isinstance(source, str):  # pragma: no cover - one schema gives one module
        raise TypeError(type(source))
    return source


def _with_our_formats(source: str) -> str:
    """Return a module that takes the types of formats from the runtime, where they are strict."""
    ours: list[str] = []

    def without(line: re.Match[str]) -> str:
        names = line["names"].split(", ")
        moved = [name for name in names if name.partition(" as ")[0] in _FORMAT_TYPES]
        kept = [name for name in names if name not in moved]
        ours.extend(moved)
        return f"from {line['module']} import {', '.join(kept)}\n" if kept else ""

    rest = _IMPORT.sub(without, source)
    return f"from weenats.formats import {', '.join(ours)}\n{rest}" if ours else source


def _defined(statement: ast.stmt) -> str | None:
    """Return the name of the model that a statement defines."""
    match statement:
        case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None


def _clean(schema: JsonValue, descriptions: list[str]) -> JsonValue:
    """Return a schema with known keywords only and, for each description, its number in the list.

    So the text of a description never passes through the tool: it is put in afterwards.
    """
    if isinstance(schema, list):
        return [_clean(part, descriptions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key not in _KEYWORDS:
            continue
        if key in NAMED and isinstance(value, dict):
            kept[key] = {name: _clean(part, descriptions) for name, part in value.items()}
            if key == "properties":
                _hide_secrets(value, cast("Schema", kept[key]))
        elif key == "format":
            if value in _FORMATS:
                kept[key] = value
        elif key == "description":
            kept[key] = str(len(descriptions))
            descriptions.append(value if isinstance(value, str) else "")
        else:
            kept[key] = value if key in VALUES else _clean(value, descriptions)
    return kept


def _hide_secrets(properties: Schema, cleaned: Schema) -> None:
    """Leave text that is `writeOnly` out of repr, and so out of logs."""
    for name, schema in properties.items():
        if isinstance(schema, dict) and schema.get("writeOnly") is True:
            kept = cleaned[name]
            if isinstance(kept, dict) and kept.get("type") == "string":
                kept[_SHOWN] = False


def _field_names(definitions: Mapping[str, Schema]) -> dict[str, str]:
    """Return the attribute of every property, as `Class.property`."""
    names: dict[str, str] = {}
    for class_name, schema in definitions.items():
        for part in _layers(schema):
            properties = part.get("properties")
            if isinstance(properties, dict):
                names |= {
                    f"{class_name}.{name}": attribute
                    for name in properties
                    if (attribute := _attribute(name)) != name
                }
    return names


def _layers(schema: Schema) -> Iterator[Schema]:
    """Yield a schema and the parts that make one class with it."""
    yield schema
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict):
            yield from _layers(part)


def _attribute(name: str) -> str:
    attribute = field_name(name)
    if attribute.startswith("model_") and (
        hasattr(BaseModel, attribute) or attribute.startswith(_PROTECTED)
    ):
        return f"field_{attribute}"
    return f"{attribute}_" if attribute in _SHADOWS or hasattr(BaseModel, attribute) else attribute
