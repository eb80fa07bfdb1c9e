"""Models of libraries: imported instead of defined."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from weenats_codegen.render.edits import Lines

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from weenats_codegen.ir.bundle import External

_WORD: Final = re.compile(r"\w+")


def defined_name(statement: ast.stmt) -> str:
    """Return the name of the model that a statement defines, "" if it defines none."""
    match statement:
        case ast.ClassDef(name=name) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return ""


def without_models(source: str, names: Container[str]) -> str:
    """Return the source of a module without some of its models.

    Args:
        source: The module as datamodel-code-generator wrote it.
        names: The names of the models.
    """
    lines = Lines(source)
    edits: list[tuple[int, int, str]] = []
    is_removed = False
    for statement in ast.parse(source).body:
        match statement:
            case ast.Expr(ast.Constant(str())):
                pass  # the documentation of the model before it
            case ast.Expr(ast.Call(ast.Attribute(ast.Name(name), "model_rebuild"))):
                is_removed = name in names
            case _:
                is_removed = defined_name(statement) in names
        if is_removed:
            edits.append((*lines.span(statement), ""))
    return lines.edited(edits)


def with_imports(source: str, shared: Mapping[str, External], exported: Iterable[str]) -> str:
    """Return the source of a module that imports models of libraries.

    Imports that are not needed are left to the formatter.

    Args:
        source: The module; it uses the models of libraries.
        shared: The models of libraries, by the names that they have here.
        exported: The names that other modules import from this one.
    """
    exported = list(exported)
    words = set(_WORD.findall(source)) | {*exported}
    imports = [
        f"from {origin.package}.models import {origin.name}"
        + (f" as {name}" if name != origin.name else "")
        for name, origin in shared.items()
        if name in words
    ]
    if not imports:
        return source
    names = "".join(f"    {name!r},\n" for name in exported)
    end = max(
        (
            statement.end_lineno or 0
            for statement in ast.parse(source).body
            if isinstance(statement, ast.Import | ast.ImportFrom)
        ),
        default=0,
    )
    lines = source.splitlines()
    head, rest = lines[:end], lines[end:]
    return "\n".join([*imports, *head, f"\n__all__ = [\n{names}]\n", *rest]) + "\n"
