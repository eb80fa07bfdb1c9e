"""A bundled schema -> the source of its models, by datamodel-code-generator."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

from datamodel_code_generator import Error, GenerateConfig, PythonVersion, generate
from datamodel_code_generator.enums import InputFileType, TargetPydanticVersion
from datamodel_code_generator.parser import LiteralType
from pydantic import JsonValue

from weenats_codegen.ir.bundle import map_schemas
from weenats_codegen.naming import field_name
from weenats_codegen.parser.keywords import HANDED_ON, VALUE_FORMATS
from weenats_codegen.parser.walk import Schema
from weenats_codegen.render.omit_none import omit_none, refuses_null
from weenats_codegen.render.postprocess import postprocess

# The Python types of formats, for which the runtime has strict versions.
_FORMAT_TYPES: Final = frozenset({"AwareDatetime", "date", "time", "timedelta", "UUID"})
_FORMAT_IMPORT: Final = re.compile(
    r"^from (?P<module>datetime|uuid|pydantic) import (?P<names>.+)\n", re.MULTILINE
)
_FILE_HEADER: Final = "# models"
# datamodel-code-generator passes it to `Field` as `repr`.
_REPR: Final = "x-repr"
_INSIDE: Final = {"items", "prefixItems", "additionalProperties", "allOf", "anyOf", "oneOf"}
"""Keywords whose schemas describe parts of a value, or the value itself."""


class UnsupportedSchemaError(Exception):
    """No model can be generated from a schema; the text says why."""


def render_models(bundle: Schema, *, base_class: str, header: str) -> str:
    """Return the source of a module with a model for each definition, not formatted yet.

    Args:
        bundle: `{"$defs": {class name: schema}}`, as `Bundler.schema` returns it.
        base_class: The base class of every model, as a dotted path.
        header: The first lines: a comment, a docstring.

    Raises:
        UnsupportedSchemaError: No model can be generated from one of the schemas.
    """
    definitions = cast("dict[str, Schema]", bundle["$defs"])
    if not definitions:
        return f"{header}\n"
    descriptions: list[str] = []
    prepared: Schema = {
        name: map_schemas(schema, lambda part: _prepared(part, definitions, descriptions))
        for name, schema in definitions.items()
    }
    source = _generate({"$defs": prepared}, base_class, _field_names(definitions))
    made = {_defined_name(statement) for statement in ast.parse(source).body} - {None}
    if made != definitions.keys():
        names = ", ".join(sorted(str(name) for name in made ^ definitions.keys()))
        raise UnsupportedSchemaError(f"{names}: no such model can be generated")
    source = omit_none(source.removeprefix(_FILE_HEADER), _fields_without_null(definitions))
    models = postprocess(_with_strict_formats(source), descriptions)
    return f"{header}\n{models}"


def _generate(schema: Schema, base_class: str, field_names: Mapping[str, str]) -> str:
    """Call datamodel-code-generator."""
    config = GenerateConfig(
        input_file_type=InputFileType.JsonSchema,
        target_python_version=PythonVersion.PY_311,
        target_pydantic_version=TargetPydanticVersion.V2_14,
        base_class=base_class,
        custom_file_header=_FILE_HEADER,
        disable_timestamp=True,
        disable_future_imports=True,
        skip_root_model=True,
        use_annotated=True,
        field_constraints=True,
        snake_case_field=True,
        strict_nullable=True,
        use_missing_sentinel=True,
        use_typed_nullable_map_values=True,
        use_typed_map_values_beside_other_types=True,
        use_type_alias=True,
        field_extra_keys_without_x_prefix={_REPR},
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


def _with_strict_formats(source: str) -> str:
    """Import the types of formats from the runtime, where they are strict."""
    strict: list[str] = []

    def without_formats(line: re.Match[str]) -> str:
        names = line["names"].split(", ")
        kept = [name for name in names if name.partition(" as ")[0] not in _FORMAT_TYPES]
        strict.extend(name for name in names if name not in kept)
        return f"from {line['module']} import {', '.join(kept)}\n" if kept else ""

    rest = _FORMAT_IMPORT.sub(without_formats, source)
    return f"from weenats.formats import {', '.join(strict)}\n{rest}" if strict else source


def _defined_name(statement: ast.stmt) -> str | None:
    """Return the name of the model that a statement defines."""
    match statement:
        case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None


def _prepared(schema: Schema, definitions: Mapping[str, Schema], descriptions: list[str]) -> Schema:
    """Return a schema with only the keywords that datamodel-code-generator may read.

    Args:
        schema: The schema.
        definitions: The schemas that a `$ref` may name.
        descriptions: Gets the descriptions. Only their numbers are handed on, so that their text
            cannot become code; `postprocess` puts it in afterwards.
    """
    kept = {key: value for key, value in schema.items() if key in HANDED_ON or key == _REPR}
    if kept.get("format") not in VALUE_FORMATS:
        kept.pop("format", None)
    if "description" in kept:
        text = kept["description"]
        kept["description"] = str(len(descriptions))
        descriptions.append(text if isinstance(text, str) else "")
    if isinstance(properties := kept.get("properties"), dict):
        kept["properties"] = {
            name: {**part, _REPR: False}
            if isinstance(part, dict) and _is_secret(part, definitions)
            else part
            for name, part in properties.items()
        }
    return kept


def _is_secret(schema: JsonValue, definitions: Mapping[str, Schema]) -> bool:
    """Return whether the values of a schema, or parts of them, are `writeOnly`.

    They are kept out of repr, and so out of logs. Properties of objects are not looked at: each
    has its own place in the repr of its model.
    """
    unread: list[JsonValue] = [schema]
    names: set[str] = set()
    while unread:
        part = unread.pop()
        if isinstance(part, list):
            unread += part
        elif isinstance(part, dict):
            if part.get("writeOnly") is True:
                return True
            unread += [part[key] for key in _INSIDE & part.keys()]
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name in definitions and name not in names:
                names.add(name)
                unread.append(definitions[name])
    return False


def _field_names(definitions: Mapping[str, Schema]) -> dict[str, str]:
    """Return the attributes of the properties that need another name, as `Class.property`."""
    return {
        f"{class_name}.{name}": attribute
        for class_name, schema in definitions.items()
        for name, _ in _properties(schema)
        if (attribute := field_name(name)) != name
    }


def _fields_without_null(definitions: Mapping[str, Schema]) -> set[tuple[str, str]]:
    """Return the classes and attributes of the properties that refuse null."""
    return {
        (class_name, field_name(name))
        for class_name, schema in definitions.items()
        for name, part in _properties(schema)
        if refuses_null(part, definitions)
    }


def _properties(schema: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """Yield the properties of a class, those in the parts of an allOf included."""
    if isinstance(schema, dict):
        properties, parts = schema.get("properties"), schema.get("allOf")
        yield from properties.items() if isinstance(properties, dict) else ()
        for part in parts if isinstance(parts, list) else ():
            yield from _properties(part)
