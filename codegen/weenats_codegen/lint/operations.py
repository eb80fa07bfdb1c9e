"""Operations: what they refer to is declared, and their limits are usable."""

import keyword
from collections.abc import Iterator
from typing import Final

from weenats_codegen import reserved
from weenats_codegen.naming import package_name
from weenats_codegen.parser.diagnostics import Diagnostic, did_you_mean, quoted
from weenats_codegen.parser.walk import Node, entries, owners

_REFERENCES: Final = (
    ("commands", "errors", "error"),
    ("commands", "emits", "event"),
    ("queries", "errors", "error"),
)
_MAX_LENGTH: Final = 50
_MAX_SUGGESTIONS: Final = 50
"""The names for which similar ones are looked for, which takes long in a large contract."""


def check_declared(contract: Node) -> Iterator[Diagnostic]:
    """Yield errors and events that an operation names and the contract does not declare."""
    suggestions = 0
    for section, member, kind in _REFERENCES:
        names = list(dict.fromkeys(entry.name for entry in entries(contract, f"{kind}s")))
        known = {name for _, owner in owners(contract) for name in owner.get(f"{kind}s").mapping}
        for operation in entries(contract, section):
            for item in operation.node.get(member).items:
                if isinstance(item.value, str) and item.value not in known:
                    suggestions += 1
                    is_like = len(item.value) <= _MAX_LENGTH and suggestions <= _MAX_SUGGESTIONS
                    similar = names if is_like else []
                    yield item.diagnostic(
                        f"the {kind} {quoted(item.value)} is not declared",
                        did_you_mean(item.value, similar, f"declare it under {kind}s"),
                    )


def check_rate_limits(contract: Node) -> Iterator[Diagnostic]:
    """Yield bursts that are smaller than the requests of one second."""
    for section in ("commands", "queries"):
        for operation in entries(contract, section):
            limit = operation.node.get("rateLimit")
            burst = _number(limit, "burst")
            if burst is not None and burst < (_number(limit, "maxRequestsPerSecond") or 0):
                yield limit.diagnostic(
                    "is less than maxRequestsPerSecond", "use at least that number", "burst"
                )


def check_large(contract: Node) -> Iterator[Diagnostic]:
    """Yield maximum sizes of operations that are not large, and large commands with `once`."""
    for section in ("commands", "queries"):
        for operation in entries(contract, section):
            members = operation.node.mapping
            if "maxBytes" in members and members.get("large") is not True:
                yield operation.node.diagnostic(
                    "is for large operations", "add large: true, or remove it", "maxBytes"
                )
            if members.get("large") is True and "once" in members:
                yield operation.node.diagnostic(
                    "cannot be with large, as kept replies have to fit into a message",
                    "remove one of them",
                    "once",
                )


def check_package(contract: Node) -> Iterator[Diagnostic]:
    """Yield a package name that is a Python keyword or another package."""
    given, service = contract.get("python", "package"), contract.get("service")
    if isinstance(given.value, str):
        node, package = given, given.value
        if keyword.iskeyword(package):
            message = f"{quoted(package)} is a Python keyword"
            yield node.diagnostic(message, f"use {package_name(package)}")
    elif isinstance(service.value, str):
        node, package = service, package_name(service.value)
    else:
        return
    if reserved.is_package(package):
        yield node.diagnostic(
            f"the Python package would be {package}, which is the name of another package",
            f"set python.package to another name, such as {package}_service",
        )


def _number(members: Node, key: str) -> float | None:
    """Return a member that is a number, None if it is absent or not a number."""
    value = members.mapping.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
