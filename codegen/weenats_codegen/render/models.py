"""Shapes -> the source of their models, by datamodel-code-generator."""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from datamodel_code_generator import Error, GenerateConfig, PythonVersion, generate
from datamodel_code_generator.enums import InputFileType, TargetPydanticVersion
from datamodel_code_generator.parser import LiteralType

from weenats_codegen.ir.bundle import External
from weenats_codegen.ir.shapes import Shapes
from weenats_codegen.ir.shapes.grammar import DISCRIMINATOR, Schema, is_class, ref_name
from weenats_codegen.naming import field_name
from weenats_codegen.render.imports import defined_name, with_imports, without_models
from weenats_codegen.render.omit_none import omit_none, refuses_null
from weenats_codegen.render.postprocess import deprecation, postprocess, with_strict_literals

DEPRECATED: Final = "# pyright: reportDeprecated=false"
"""Allows generated code to use the classes of schemas that are deprecated."""
_BASE_CLASS: Final = "weenats.model.Model"
_FILE_HEADER: Final = "# models"
_INT_ENUM: Final = "from enum import IntEnum\n"
# Keywords that datamodel-code-generator passes to `Field`.
_REPR: Final = "x-repr"
_DEPRECATED: Final = "x-deprecated"
_VARNAMES: Final = "x-enum-varnames"


class UnsupportedSchemaError(Exception):
    """No model can be generated from a schema; the text says why."""


def with_models(shapes: Shapes) -> Shapes:
    """Return shapes from which models can be generated.

    Schemas for which datamodel-code-generator fails become JSON values; their judges remain.
    """
    if _has_models(shapes):
        return shapes
    own = [root for root in shapes.reasons if root not in shapes.shared]
    failing = [root for root in own if not _has_models(shapes.only([root]))]
    return shapes.without_models(failing or own)


def _has_models(shapes: Shapes) -> bool:
    """Return whether models can be generated from some shapes."""
    try:
        render_models(shapes.definitions)
    except UnsupportedSchemaError:
        return False
    return True


def render_models(
    shapes: Mapping[str, Schema],
    *,
    is_strict: bool = True,
    base_class: str = _BASE_CLASS,
    shared: Mapping[str, External] = MappingProxyType({}),
    exported: Iterable[str] = (),
) -> str:
    """Return the source of a module with a class or an alias for each shape, not formatted yet.

    Args:
        shapes: The shapes by name, as `ir.shapes` makes them.
        is_strict: Whether booleans, 0 and 1 are told apart in literal types; Python does not.
        base_class: The class that the models are derived from.
        shared: The models that are imported from libraries.
        exported: The names that other modules import, if models of libraries are used.

    Raises:
        UnsupportedSchemaError: No model can be generated from one of the shapes.
    """
    if not shapes:
        return ""
    texts: list[str] = []
    prepared: Schema = {
        # Only members have fields that can be deprecated; classes get a decorator afterwards.
        name: _prepared({key: shape[key] for key in shape if key != "deprecated"}, texts)
        for name, shape in shapes.items()
    }
    attributes = _attributes(shapes)
    source = _generated(json.dumps(prepared), json.dumps(attributes), base_class)
    made = {defined_name(statement) for statement in ast.parse(source).body} - {""}
    if made != {*shapes}:
        names = ", ".join(sorted(made ^ shapes.keys()))
        raise UnsupportedSchemaError(f"{names}: no such model can be generated")
    source = without_models(source, shared)
    source = source.replace(_INT_ENUM, "from weenats.formats import IntEnum\n", 1)
    source = omit_none(source.removeprefix(_FILE_HEADER), _fields_without_null(shapes, attributes))
    source = with_strict_literals(source) if is_strict else source
    own = {name: shape for name, shape in shapes.items() if name not in shared}
    source = postprocess(source, texts, deprecated_classes(own))
    return with_imports(source, shared, exported) if shared else source


@lru_cache(maxsize=64)
def _generated(definitions_json: str, attributes_json: str, base_class: str) -> str:
    """Call datamodel-code-generator, once to learn whether it can, and for the package as well."""
    definitions: Schema = json.loads(definitions_json)
    attributes: dict[str, str] = json.loads(attributes_json)
    named = {name: "none" for name, shape in definitions.items() if _VARNAMES in shape}
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
        field_extra_keys_without_x_prefix={_REPR, _DEPRECATED, DISCRIMINATOR},
        enum_field_as_literal=LiteralType.All,
        enum_field_as_literal_map=named,
        capitalise_enum_members=True,
        use_schema_description=True,
        use_field_description=True,
        use_attribute_docstrings=True,
        aliases=attributes,
        formatters=[],
    )
    try:
        source = generate({"$defs": definitions}, config=config)
    except Error as error:
        raise UnsupportedSchemaError(" ".join(str(error).split())) from error
    if not isinstance(source, str):  # pragma: no cover - one schema gives one module
        raise TypeError(type(source))
    return source


def _prepared(shape: Schema, texts: list[str]) -> Schema:
    """Return a shape as datamodel-code-generator reads it.

    Args:
        shape: The shape of a definition, a base class or a member.
        texts: Gets the texts. Only their numbers are handed on, so that they cannot become code;
            `postprocess` puts them in afterwards.
    """
    kept = dict(shape)
    if "description" in kept:
        kept["description"] = _numbered(str(kept["description"]), texts)
    if kept.pop("deprecated", False) is True:
        kept[_DEPRECATED] = _numbered(deprecation(str(shape.get("description", ""))), texts)
    if DISCRIMINATOR in kept:
        kept[DISCRIMINATOR] = field_name(kept[DISCRIMINATOR])
    if kept.pop("writeOnly", False) is True:
        kept[_REPR] = False
    if "allOf" in kept:
        kept["allOf"] = [_prepared(part, texts) for part in kept["allOf"]]
    if "properties" in kept:
        members = kept["properties"]
        kept["properties"] = {name: _prepared(part, texts) for name, part in members.items()}
    return kept


def _numbered(text: str, texts: list[str]) -> str:
    texts.append(text)
    return str(len(texts) - 1)


def deprecated_classes(shapes: Mapping[str, Schema]) -> dict[str, str]:
    """Return the classes that are deprecated, with the text of the warning."""
    return {
        name: deprecation(str(shape.get("description", "")))
        for name, shape in shapes.items()
        if shape.get("deprecated") is True and is_class(shape)
    }


def _attributes(shapes: Mapping[str, Schema]) -> dict[str, str]:
    """Return the attributes of the properties that need another name, as `Class.property`.

    Two properties of a class that would have the same attribute get numbers.
    """
    found: dict[str, str] = {}
    for class_name, shape in shapes.items():
        taken: set[str] = set()
        for name, _ in _properties(shape, shapes):
            attribute = plain = field_name(name)
            number = 1
            while attribute in taken:
                number += 1
                attribute = f"{plain}_{number}"
            taken.add(attribute)
            if attribute != name:
                found[f"{class_name}.{name}"] = attribute
    return found


def _fields_without_null(
    shapes: Mapping[str, Schema], attributes: Mapping[str, str]
) -> set[tuple[str, str]]:
    """Return the classes and attributes of the properties that refuse null."""
    return {
        (class_name, attributes.get(f"{class_name}.{name}", name))
        for class_name, shape in shapes.items()
        for name, part in _properties(shape, shapes)
        if refuses_null(part, shapes)
    }


def _properties(shape: Schema, shapes: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield the properties of a class, those of its base classes first."""
    for part in shape.get("allOf", ()):
        yield from _properties(shapes.get(ref_name(part), part), shapes)
    yield from shape.get("properties", {}).items()
