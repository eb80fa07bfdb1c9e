"""Stubs: files that the generator writes until their user changes them, and what handlers lack."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from weenats_codegen.render.package import STUBS

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEAL: Final = "# A stub: `weenats generate` writes it anew until you change it. Seal: "
_HANDLER_ARGUMENTS: Final = ("self", "key", "context")


@dataclass(frozen=True, slots=True)
class Gap:
    """What handlers.py and the contract do not have in common.

    Attributes:
        file: The path of handlers.py.
        missing: The methods that the contract asks for and the file does not have.
        unknown: The handlers that the file has and the contract does not.
        unreadable: Why nothing can be told; "" when it can.
    """

    file: str
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unreadable: str = ""

    @property
    def lines(self) -> list[str]:
        """What a person is told of it, a line each."""
        told: list[str] = []
        if self.unreadable:
            told.append(f"{self.file} cannot be read: {self.unreadable}")
        if self.missing:
            told.append(f"{self.file} lacks handlers of the contract: {', '.join(self.missing)}")
        if self.unknown:
            names = ", ".join(self.unknown)
            told.append(f"{self.file} has handlers that the contract does not know: {names}")
        return told


def is_stub(name: str) -> bool:
    """Say whether a generated file is a stub, by its path."""
    return name.rpartition("/")[2] in STUBS


def seal(text: str) -> str:
    """Return a stub with its seal: a first line that holds a digest of the others."""
    return f"{_SEAL}{_digest(text)}\n{text}"


def is_untouched(content: bytes) -> bool:
    """Say whether a file is a stub as it was written; line ends count for nothing."""
    first, _, rest = content.replace(b"\r\n", b"\n").partition(b"\n")
    return first == f"{_SEAL}{_digest(rest.decode(errors='replace'))}".encode()


def gap(file: str, mine: bytes, stub: str) -> Gap | None:
    """Compare handlers.py with the stub that its contract gives; None when nothing is amiss.

    Args:
        file: The path of handlers.py, for people.
        mine: What the user made of it; it is parsed and never run.
        stub: What the generator would write.
    """
    (model,) = _classes(ast.parse(stub))
    skeleton = _base_names(model)[0]
    try:
        classes = _classes(ast.parse(mine))
    except (SyntaxError, ValueError) as error:
        return Gap(file, unreadable=" ".join(str(error).split()))
    bases = [_base_names(each) for each in classes]
    bases = [names for names in bases if skeleton in names]
    if not bases:  # the handlers live elsewhere
        return None
    known = {handler.name for handler in _handlers(model)}
    missing = known - {name for each in classes for name in _members(each)}
    unknown = {handler.name for each in classes for handler in _handlers(each)} - known
    if {name for names in bases for name in names} - {skeleton, *(each.name for each in classes)}:
        missing.clear()  # they may come from a class of another file
    found = Gap(file, tuple(sorted(missing)), tuple(sorted(unknown)))
    return found if found.lines else None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _classes(module: ast.Module) -> list[ast.ClassDef]:
    return [node for node in module.body if isinstance(node, ast.ClassDef)]


def _base_names(node: ast.ClassDef) -> list[str]:
    """Return the names of the classes that a class is made of, without their modules."""
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Yield what a class defines, methods and anything that is assigned."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            yield member.name
        elif isinstance(member, ast.Assign):
            yield from (target.id for target in member.targets if isinstance(target, ast.Name))


def _handlers(node: ast.ClassDef) -> Iterator[ast.AsyncFunctionDef]:
    """Yield the methods of a class that have the shape of a handler."""
    for member in node.body:
        if isinstance(member, ast.AsyncFunctionDef) and not member.name.startswith("_"):
            names = [argument.arg for argument in member.args.args]
            if (*names[:2], *names[-1:]) == _HANDLER_ARGUMENTS:
                yield member
