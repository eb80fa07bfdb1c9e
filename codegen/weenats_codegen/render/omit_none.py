"""Members that are optional and not nullable: `T | None` in place of `T | MISSING`."""

import ast
from collections.abc import Container, Iterator, Mapping
from typing import Final

from weenats_codegen.ir.shapes.grammar import Json, Schema
from weenats_codegen.render.edits import Lines

_IMPORTS: Final = "from typing import Annotated\nfrom weenats.model import OMIT_NONE\n"
_DEFINITIONS: Final = "#/$defs/"


def refuses_null(schema: Json, definitions: Mapping[str, Schema]) -> bool:
    """Return whether a schema provably refuses null.

    Args:
        schema: The schema.
        definitions: The definitions that it may refer to, by name.
    """
    return _refuses_null(schema, definitions, frozenset())


def omit_none(source: str, fields: Container[tuple[str, str]]) -> str:
    """Return a module of models in which None stands for absent members where it can.

    Args:
        source: The module as datamodel-code-generator wrote it.
        fields: The classes and attributes whose schemas refuse null.
    """
    lines = Lines(source)
    edits = [
        edit
        for field in _optional_fields(ast.parse(source), fields)
        for edit in _edits(field, lines)
    ]
    return f"{_IMPORTS if edits else ''}{lines.edited(edits)}"


def _refuses_null(schema: Json, definitions: Mapping[str, Schema], visited: frozenset[str]) -> bool:
    if not isinstance(schema, dict):
        return schema is False
    kinds, values, reference = schema.get("type"), schema.get("enum"), schema.get("$ref")
    if isinstance(kinds, str | list) and "null" not in (
        [kinds] if isinstance(kinds, str) else kinds
    ):
        return True
    if isinstance(values, list) and None not in values:
        return True
    if schema.get("const") is not None:
        return True
    if isinstance(reference, str) and reference not in visited:
        target = definitions.get(reference.removeprefix(_DEFINITIONS))
        if _refuses_null(target or {}, definitions, visited | {reference}):
            return True

    def refusing(keyword: str) -> Iterator[bool]:
        parts = schema.get(keyword)
        for part in parts if isinstance(parts, list) else ():
            yield _refuses_null(part, definitions, visited)

    alternatives = [list(refusing(keyword)) for keyword in ("anyOf", "oneOf")]
    return any(refusing("allOf")) or any(each and all(each) for each in alternatives)


def _optional_fields(
    module: ast.Module, fields: Container[tuple[str, str]]
) -> Iterator[ast.AnnAssign]:
    classes = [each for each in module.body if isinstance(each, ast.ClassDef)]
    for owner, statement in ((each, part) for each in classes for part in each.body):
        match statement:
            case ast.AnnAssign(target=ast.Name(attribute), value=ast.Name("MISSING")):
                if (owner.name, attribute) in fields and not _has_none(statement.annotation):
                    yield statement
            case _:
                pass


def _has_none(kind: ast.expr) -> bool:
    """Return whether None is one of the types of a union."""
    match kind:
        case ast.Constant(None) | ast.Subscript(ast.Name("Optional")):
            return True
        case ast.BinOp(left, _, right):
            return _has_none(left) or _has_none(right)
        case ast.Subscript(ast.Name("Union"), ast.Tuple(parts)):
            return any(map(_has_none, parts))
        case ast.Subscript(ast.Name("Annotated"), ast.Tuple([inner, *_])):
            return _has_none(inner)
        case _:
            return False


def _edits(field: ast.AnnAssign, lines: Lines) -> Iterator[tuple[int, int, str]]:
    """Yield what replaces a part of a field."""
    kind = field.annotation
    for node in ast.walk(field):
        if isinstance(node, ast.Name) and node.id == "MISSING":
            yield *lines.span(node), "None"
    start, end = lines.span(kind)
    match kind:
        case ast.Subscript(ast.Name("Annotated")):
            yield end - 1, end - 1, ", OMIT_NONE"
        case _:
            yield start, start, "Annotated["
            yield end, end, ", OMIT_NONE]"
