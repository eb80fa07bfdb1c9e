"""What operations name must be declared, and the package must be importable."""

from __future__ import annotations

import difflib
import keyword
from typing import TYPE_CHECKING, Final

from weenats_codegen.naming import is_foreign_package, package_name
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

_NAMED: Final = (
    ("commands", "errors", "error"),
    ("commands", "emits", "event"),
    ("queries", "errors", "error"),
)


def check_declared(contract: JsonValue) -> Iterator[Flaw]:
    """Yield errors and events that an operation names and the contract does not declare."""
    if not isinstance(contract, dict):
        return
    for section, member, kind in _NAMED:
        declared = contract.get(f"{kind}s")
        known = list(declared) if isinstance(declared, dict) else []
        operations = contract.get(section)
        for name, operation in operations.items() if isinstance(operations, dict) else ():
            named = operation.get(member) if isinstance(operation, dict) else None
            for index, item in enumerate(named if isinstance(named, list) else ()):
                if isinstance(item, str) and item not in known:
                    close = difflib.get_close_matches(item, known, n=1)
                    yield Flaw(
                        joined("", section, name, member, index),
                        f"the {kind} {shown(item)} is not declared",
                        f"did you mean {close[0]}?" if close else f"declare it under {kind}s",
                    )


def check_package(contract: JsonValue) -> Iterator[Flaw]:
    """Yield a package name that stands for somebody else's package."""
    if not isinstance(contract, dict):
        return
    python = contract.get("python")
    given = python.get("package") if isinstance(python, dict) else None
    service = contract.get("service")
    if isinstance(given, str):
        pointer, package = "/python/package", given
        if keyword.iskeyword(given):
            message = f"{shown(given)} is a word of Python's own"
            yield Flaw(pointer, message, f"write {package_name(given)}")
    elif isinstance(service, str):
        pointer, package = "/service", package_name(service)
    else:
        return
    if is_foreign_package(package):
        yield Flaw(
            pointer,
            f"the Python package would be {package}, which exists already",
            f"set python.package to another name, like {package}_service",
        )
