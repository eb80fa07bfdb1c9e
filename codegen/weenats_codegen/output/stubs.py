"""Stubs: files that are generated until the user changes them, and how they differ then."""

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from weenats_codegen.ir.contract import Contract
from weenats_codegen.render.package import HANDLERS, STUBS, UPCASTERS

_MARK: Final = "# A stub: "
_FIRST_LINE: Final = f"{_MARK}`weenats generate` replaces it until you change it. Checksum: "
_HANDLER_ARGUMENTS: Final = (("self", "key", "context"), ("self", "state", "context"))
_FOLD_ARGUMENTS: Final = ["self", "state", "event"]


@dataclass(frozen=True, slots=True)
class HandlerMismatch:
    """A difference between handlers.py or upcasters.py and its contract.

    Attributes:
        file: The path of the file.
        missing: The methods or functions that the contract needs and the file does not have.
        unknown: The handlers that the file has and the contract does not.
        unreadable: Why the file cannot be parsed; "" if it can.
        what: What is in the file.
    """

    file: str
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    unreadable: str = ""
    what: str = "handlers"

    @property
    def lines(self) -> list[str]:
        """The difference as text, one line for each kind."""
        lines: list[str] = []
        if self.unreadable:
            lines.append(f"{self.file} cannot be parsed: {self.unreadable}")
        if self.missing:
            lines.append(
                f"{self.file} lacks {self.what} of the contract: {', '.join(self.missing)}"
            )
        if self.unknown:
            names = ", ".join(self.unknown)
            lines.append(f"{self.file} has {self.what} that are not in the contract: {names}")
        return lines


def is_stub(name: str) -> bool:
    """Return whether a generated file is a stub, by its path."""
    return name.rpartition("/")[2] in {*STUBS, UPCASTERS}


def seal(text: str) -> str:
    """Return a stub with a first line that has a checksum of the others."""
    return f"{_FIRST_LINE}{_checksum(text)}\n{text}"


def is_untouched(content: bytes) -> bool:
    """Return whether a file is a stub as it was generated, apart from line ends."""
    first, _, rest = content.replace(b"\r\n", b"\n").partition(b"\n")
    checksum = _checksum(rest.decode(errors="replace"))
    # The words between may be those of another version.
    return first.startswith(_MARK.encode()) and first.endswith(f": {checksum}".encode())


def mismatches(out: Path, contracts: Iterable[Contract]) -> tuple[HandlerMismatch, ...]:
    """Return the differences between the handlers and upcasters of users and their contracts.

    Args:
        out: The folder of the packages.
        contracts: The contracts; files that do not exist, and unchanged stubs, are skipped.
    """
    found: list[HandlerMismatch | None] = []
    for contract in sorted(contracts, key=lambda contract: contract.package):
        for name, compare in ((HANDLERS, compare_handlers), (UPCASTERS, compare_upcasters)):
            path = out / contract.package / name
            content = path.read_bytes() if path.is_file() else b""
            if content and not is_untouched(content):
                found.append(compare(path.as_posix(), content, contract))
    return tuple(each for each in found if each is not None)


def compare_handlers(file: str, content: bytes, contract: Contract) -> HandlerMismatch | None:
    """Compare handlers.py with its contract.

    Args:
        file: The path of handlers.py.
        content: Its content, which is parsed and never run.
        contract: The contract.

    Returns:
        The difference; None if there is none, or if the handlers may be defined elsewhere.
    """
    return _unless_unreadable(
        file, "handlers", lambda: _compared(file, ast.parse(content), contract)
    )


def compare_upcasters(file: str, content: bytes, contract: Contract) -> HandlerMismatch | None:
    """Compare upcasters.py with its contract.

    Args:
        file: The path of upcasters.py.
        content: Its content, which is parsed and never run.
        contract: The contract.

    Returns:
        The difference; None if there is none, or if the functions may be defined elsewhere.
    """
    needed = {each.function for event in contract.events for each in event.previous} - {""}
    if not needed:
        return None
    return _unless_unreadable(file, "upcasters", lambda: _without(needed, file, ast.parse(content)))


def _unless_unreadable(
    file: str, what: str, compare: Callable[[], HandlerMismatch | None]
) -> HandlerMismatch | None:
    try:
        return compare()
    except (SyntaxError, ValueError) as error:
        return HandlerMismatch(file, unreadable=" ".join(str(error).split()), what=what)
    except (MemoryError, RecursionError):  # how Python refuses deep expressions
        return HandlerMismatch(file, unreadable="it is nested too deeply", what=what)


def _without(needed: Collection[str], file: str, module: ast.Module) -> HandlerMismatch | None:
    names = set(_names(module))
    if "*" in names or names.issuperset(needed):
        return None
    return HandlerMismatch(file, tuple(sorted(set(needed) - names)), what="upcasters")


def _compared(file: str, module: ast.Module, contract: Contract) -> HandlerMismatch | None:
    classes = [node for node in module.body if isinstance(node, ast.ClassDef)]
    bases = {each.name: _base_names(each) for each in classes}
    if not any(contract.handlers in names for names in bases.values()):
        return None
    folds = {event.fold for event in contract.events if event.is_stored}
    known = folds | {operation.method for operation in contract.operations}
    answered = {each.method for each in contract.operations if each.is_answered}
    missing = known - answered - {name for each in classes for name in _members(each)}
    unknown = {name for each in classes for name in _handlers(each)} - known
    if not _relatives(contract.handlers, bases) <= {contract.handlers, *bases}:
        missing.clear()  # a base class in another file may define them
    if not missing and not unknown:
        return None
    return HandlerMismatch(file, tuple(sorted(missing)), tuple(sorted(unknown)))


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def _base_names(node: ast.ClassDef) -> list[str]:
    """Return the names of the base classes, without their modules."""
    return [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]


def _relatives(handlers: str, bases: Mapping[str, list[str]]) -> set[str]:
    """Return the classes that derive from the base of the handlers, and all of their bases."""
    found = {handlers}
    while added := {each for each in bases if found.intersection(bases[each])} - found:
        found |= added
    while added := {base for each in found for base in bases.get(each, ())} - found:
        found |= added
    return found


def _names(module: ast.Module) -> Iterator[str]:
    """Yield what a module defines or imports; `*` stands for everything of another one."""
    yield from _members(module)
    for node in module.body:
        if isinstance(node, ast.ImportFrom):
            yield from (each.asname or each.name for each in node.names)


def _members(node: ast.ClassDef | ast.Module) -> Iterator[str]:
    """Yield the functions and variables of a class or module."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef):
            yield member.name
        elif isinstance(member, ast.Assign):
            yield from (target.id for target in member.targets if isinstance(target, ast.Name))
        elif isinstance(member, ast.AnnAssign) and member.value is not None:
            yield ast.unparse(member.target)


def _handlers(node: ast.ClassDef) -> Iterator[str]:
    """Yield the methods of a class that have the signature of a handler, or of one for an event."""
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name[0] != "_":
            names = [argument.arg for argument in member.args.args]
            is_async = isinstance(member, ast.AsyncFunctionDef)
            is_handler = is_async and (*names[:2], *names[-1:]) in _HANDLER_ARGUMENTS
            if is_handler or (not is_async and names == _FOLD_ARGUMENTS):
                yield member.name
