"""Members that are optional and not nullable: `T | None` in place of `T | MISSING`."""

import ast
from collections.abc import Container, Iterator, Mapping
from typing import Final

from weenats_codegen.ir.shapes.grammar import Schema, is_any, is_class, ref_name, types_of
from weenats_codegen.render.edits import Lines

_IMPORTS: Final = "from typing import Annotated\nfrom weenats.model import OMIT_NONE\n"


def refuses_null(shape: Schema, shapes: Mapping[str, Schema]) -> bool:
    """Return whether a shape refuses null.

    Args:
        shape: The shape.
        shapes: The definitions that it may refer to, by name.
    """
    pending = [shape]
    visited: set[str] = set()
    while pending:
        part = pending.pop()
        name = ref_name(part)
        if name and name not in visited:
            visited.add(name)
            pending.append(shapes[name])
        elif "anyOf" in part:
            pending += part["anyOf"]
        elif not name and _accepts_null(part):
            return False
    return True


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


def _accepts_null(shape: Schema) -> bool:
    """Return whether a shape that is neither a reference nor a union accepts null."""
    if "enum" in shape:
        return None in shape["enum"]
    return is_any(shape) or ("null" in types_of(shape) and not is_class(shape))


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
