"""Rewrites generated models: docstrings, long strings, unions and defaults."""

import ast
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from weenats_codegen.naming import words
from weenats_codegen.render.edits import Lines
from weenats_codegen.render.literals import docstring, string

_DEPRECATED: Final = "Deprecated."
_AMBIGUOUS: Final = re.compile(r"Literal\[[^]]*\b(?:True|False|0|1)\b")
_NEEDLESS: Final = frozenset({"use_attribute_docstrings", "arbitrary_types_allowed"})
"""Settings that datamodel-code-generator writes, and that models do not need."""


def deprecation(description: str) -> str:
    """Return the text of the warning of a deprecated schema: a first sentence, or a usual one."""
    first, _, _ = " ".join(description.split()).partition(". ")
    return f"{first.rstrip('.')}." if first else _DEPRECATED


def postprocess(
    source: str, descriptions: Sequence[str], deprecated: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the source of a module of models as people read it.

    Args:
        source: The module as datamodel-code-generator wrote it.
        descriptions: The texts of docstrings and warnings, for which the source has their numbers.
        deprecated: The classes that are deprecated, with the text of the warning.
    """
    return str(_Rewriter(_with_bars(source), descriptions, deprecated))


class _Rewriter:
    """Collects edits of a module, so that everything else is kept as it is."""

    def __init__(
        self, source: str, descriptions: Sequence[str], deprecated: Mapping[str, str]
    ) -> None:
        self._lines = Lines(source)
        self._descriptions = descriptions
        self._deprecated = deprecated
        self._edits: list[tuple[int, int, str]] = []
        self._imports = "from typing_extensions import deprecated\n" if deprecated else ""
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.ClassDef):
                self._rewrite_class(statement)
            else:
                self._rewrite_statement(statement, indent=0)

    def __str__(self) -> str:
        return self._imports + self._lines.edited(self._edits)

    def _rewrite_class(self, statement: ast.ClassDef) -> None:
        if statement.name in self._deprecated:
            start, _ = self._lines.span(statement)
            warning = string(self._deprecated[statement.name])
            self._edits.append((start, start, f"@deprecated({warning}, category=None)\n"))
        fallback = " ".join(words(statement.name)).capitalize()
        first = statement.body[0]
        if (text := self._docstring(first)) is not None:
            self._replace(first, docstring(text, fallback=fallback))
        else:
            start, _ = self._lines.span(first)
            self._edits.append((start, start, f"{docstring(fallback)}\n    "))
            self._rewrite_statement(first, indent=4)
        for part in statement.body[1:]:
            self._rewrite_statement(part, indent=4)

    def _rewrite_statement(self, statement: ast.stmt, *, indent: int) -> None:
        match statement:
            case ast.Assign(
                targets=[ast.Name("model_config")], value=ast.Call(keywords=keywords) as call
            ):
                kept = [keyword for keyword in keywords if keyword.arg not in _NEEDLESS]
                call.keywords = kept
                self._replace(statement, ast.unparse(statement) if kept else "pass")
            case ast.Expr(ast.Constant(str())):
                text = self._docstring(statement) or ""
                visible = any(character.isalnum() for character in text)
                self._replace(statement, docstring(text, indent=indent) if visible else "pass")
            case ast.AnnAssign(target=ast.Name("__pydantic_extra__")):
                # pydantic needs a plain dict, type checkers the type in BaseModel
                text = ast.unparse(statement)
                self._replace(statement, f"if not TYPE_CHECKING:\n        {text}")
                self._imports += "from typing import TYPE_CHECKING\n"
            case ast.AnnAssign():
                self._rewrite_field(statement)
            case _:
                self._rewrite_expressions(statement)

    def _rewrite_field(self, statement: ast.AnnAssign) -> None:
        forward: list[str] = []
        annotation = _without_quotes(statement.annotation, forward)
        if forward:
            self._replace(statement.annotation, repr(ast.unparse(annotation)))
        else:
            self._rewrite_expressions(statement.annotation)
        if isinstance(statement.value, ast.List | ast.Dict):
            factory = _factory(statement.annotation)
            self._replace(statement.value, f"Field(default_factory={factory})")
            self._imports += "from pydantic import Field\n"
        elif statement.value is not None:
            self._rewrite_expressions(statement.value)

    def _rewrite_expressions(self, node: ast.AST) -> None:
        match node:
            case ast.Constant(str() as value):
                self._replace(node, string(value))
            case ast.keyword("deprecated", ast.Constant(str() as number) as value):
                self._replace(value, string(self._descriptions[int(number)]))
            case ast.BinOp(
                left=(ast.BinOp(right=ast.Constant(None) as none) | (ast.Constant(None) as none)),
                right=last,
            ):
                # `T | None | MISSING`: None comes last
                self._replace(none, ast.unparse(last))
                self._replace(last, "None")
                if node.left is not none:
                    self._rewrite_expressions(node.left)
            case ast.Subscript(
                ast.Name("Optional"), ast.Subscript(ast.Name("Union"), kinds) as union
            ):
                # `Union[a, b, None]`, since some of its types are quoted and `|` takes no text
                start, end = self._lines.span(node)
                inner, inner_end = self._lines.span(union)
                self._edits += [(start, inner, ""), (inner_end - 1, end, ", None]")]
                self._rewrite_expressions(kinds)
            case _:
                for part in ast.iter_child_nodes(node):
                    self._rewrite_expressions(part)

    def _docstring(self, statement: ast.stmt) -> str | None:
        """Return the description whose number a docstring contains, None for other statements."""
        match statement:
            case ast.Expr(ast.Constant(str() as mark)):
                number = mark.strip()
                return self._descriptions[int(number)] if number.isdecimal() else ""
            case _:
                return None

    def _replace(self, node: ast.stmt | ast.expr, text: str) -> None:
        self._edits.append((*self._lines.span(node), text))


def _with_bars(source: str) -> str:
    """Return a module in which types that need no quotes are `a | b`, not `Union[a, b]`."""
    lines = Lines(source)
    edits: list[tuple[int, int, str]] = []
    for node in ast.walk(ast.parse(source)) if "Union[" in source else ():
        if isinstance(node, ast.AnnAssign):
            forward: list[str] = []
            kind = _without_quotes(node.annotation, forward)
            if not forward:
                edits.append((*lines.span(node.annotation), ast.unparse(kind)))
    return lines.edited(edits)


def with_strict_literals(source: str) -> str:
    """Return a module in which no literal type takes 1 for `True`, or `True` for 1."""
    lines = Lines(source)
    edits: list[tuple[int, int, str]] = []
    for node in ast.walk(ast.parse(source)) if _AMBIGUOUS.search(source) else ():
        match node:
            case ast.Subscript(ast.Name("Literal"), values) if any(
                isinstance(part, ast.Constant) and part.value in (0, 1) for part in ast.walk(values)
            ):
                start, end = lines.span(node)
                edits += [(start, start, "Annotated["), (end, end, ", STRICT_LITERAL]")]
            case _:
                pass
    imports = "from typing import Annotated\nfrom weenats.model import STRICT_LITERAL\n"
    return f"{imports if edits else ''}{lines.edited(edits)}"


def _factory(kind: ast.expr) -> str:
    """Return the source of what makes an empty list or map, given the type of a field."""
    for node in ast.walk(kind):
        match node:
            case ast.Subscript(ast.Name("list" | "dict")):
                forward: list[str] = []
                text = ast.unparse(_without_quotes(node, forward))
                return f"lambda: {text}()" if forward else text
            case _:
                pass
    raise LookupError(ast.unparse(kind))


def _without_quotes(  # noqa: PLR0911 - one for each form of a type
    kind: ast.expr, forward: list[str]
) -> ast.expr:
    """Return a type with names instead of quoted forward references, so that it can be quoted.

    Args:
        kind: The type.
        forward: Gets the forward references.
    """
    match kind:
        case ast.Constant(str() as name):
            forward.append(name)
            return ast.Name(name)
        case ast.Subscript(ast.Name("Literal")):
            return kind
        case ast.Subscript(ast.Name("Annotated") as name, ast.Tuple([first, *rest])):
            return ast.Subscript(name, ast.Tuple([_without_quotes(first, forward), *rest]))
        case ast.Subscript(ast.Name("Union"), ast.Tuple(kinds)):
            return _union([_without_quotes(each, forward) for each in kinds])
        case ast.Subscript(ast.Name("Optional"), inner):
            return _union([_without_quotes(inner, forward), ast.Constant(None)])
        case ast.Subscript(name, inner):
            return ast.Subscript(name, _without_quotes(inner, forward))
        case ast.Tuple(kinds):
            return ast.Tuple([_without_quotes(each, forward) for each in kinds])
        case ast.BinOp(left, operator, right):
            left, right = _without_quotes(left, forward), _without_quotes(right, forward)
            return ast.BinOp(left, operator, right)
        case _:
            return kind


def _union(kinds: list[ast.expr]) -> ast.expr:
    """Return `a | b | None`, None last."""
    flat = [part for kind in kinds for part in _parts(kind)]
    flat.sort(key=lambda part: isinstance(part, ast.Constant) and part.value is None)
    whole, *rest = flat
    for part in rest:
        whole = ast.BinOp(whole, ast.BitOr(), part)
    return whole


def _parts(kind: ast.expr) -> list[ast.expr]:
    if isinstance(kind, ast.BinOp):
        return [*_parts(kind.left), *_parts(kind.right)]
    return [kind]
