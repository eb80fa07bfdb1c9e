"""service.yaml and its meta-schema: members that are missing, unknown or have an invalid value."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from weenats_codegen.lint.validation import Violation, contract_violations
from weenats_codegen.parser.diagnostics import Diagnostic, did_you_mean, quoted
from weenats_codegen.parser.walk import STANDARD_QUERY, Node

SERVICE_NAME: Final = (
    "is not a valid service name",
    "use a lower-case letter, then lower-case letters, digits and dashes, at most 50 in all",
)
_NAME: Final = (
    "is not a valid name",
    "use a letter, then letters, digits, dashes and underscores, at most 50 in all",
)
_PATTERNS: Final = {
    "service": SERVICE_NAME,
    "version": ("is not a semantic version", "use one such as 1.0.0 (semver.org)"),
    "package": (
        "is not a valid name of a Python package",
        "use a lower-case letter, then lower-case letters, digits and underscores",
    ),
    "reason": ("is not a reason", "write why the finding is right here"),
    "name": (
        "is not a valid name of a stream",
        "use a lower-case letter, then lower-case letters, digits and dashes, at most 50 in all",
    ),
    "once": ("is not a valid time", "use a number with s, m, h or d, such as 24h"),
    "sync": ("is not a valid time", "use always, or a number with s, m or h, such as 10s"),
    "maxAge": (
        "is not a duration",
        "use a number and s, m, h or d, such as 30d; at most 99999d, 999999h or 99999999m",
    ),
    "scopes": ("is not a valid scope", "use printable ASCII without spaces, quotes, backslashes"),
}
_SIMILARITY: Final = 0.75
_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "a string",
    "boolean": "a boolean",
    "number": "a number",
    "integer": "a whole number",
}
_MESSAGES: Final = {
    **dict.fromkeys(
        ("minLength", "minProperties", "minItems"), ("is empty", "fill it in, or remove it")
    ),
    "maxLength": ("is longer than {expected} characters", "shorten it"),
    "minimum": ("is {value}", "use {expected} or more"),
    "maximum": ("is {value}", "use {expected} or less"),
    "uniqueItems": ("contains an item twice", "remove one of them"),
    "anyOf": ("has no commands, queries or events", "declare at least one"),
    "not": (
        "has scopes although no token is required",
        "remove required: false, or remove the scopes",
    ),
}
"""The message and the remedy for keywords of the meta-schema."""


def check_shape(contract: Node) -> Iterator[Diagnostic]:
    """Yield what the meta-schema refuses; the schemas inside the contract are not checked here."""
    for error in contract_violations(contract.value):
        if error.is_name:
            message, remedy = _NAME
            yield contract.diagnostic(
                f"{quoted(error.value)} {message}", remedy, *error.path, error.value
            )
        elif error.keyword in _CHECKS:
            yield from _CHECKS[error.keyword](contract, error)
        else:
            value = quoted(error.value)
            expected = error.expected
            message, remedy = _MESSAGES[error.keyword]
            yield contract.diagnostic(
                message.format(value=value, expected=expected),
                remedy.format(expected=expected),
                *error.path,
            )


def _check_required(contract: Node, error: Violation) -> Iterator[Diagnostic]:
    for name in error.expected:
        if name not in error.value:
            about = error.schema.get("properties", {}).get(name, {}).get("description", "")
            remedy = f"add it: {about.removesuffix('.')}" if about else "add it"
            yield contract.diagnostic(f"the member {name} is missing", remedy, *error.path)


def _check_unknown(contract: Node, error: Violation) -> Iterator[Diagnostic]:
    known: list[str] = sorted(error.schema["properties"])
    for name in error.value:
        if name in known:
            continue
        message = f"the member {quoted(name)} is unknown"
        remedy = did_you_mean(str(name), known, similarity=_SIMILARITY)
        if (*error.path[-2:], name) == ("queries", STANDARD_QUERY, "result"):
            message = "the query get always returns the aggregate itself"
            remedy = "remove the result, or rename the query"
        yield contract.diagnostic(message, remedy, *error.path, name)


def _check_pattern(contract: Node, error: Violation) -> Iterator[Diagnostic]:
    message, remedy = _pattern_text(error)
    yield contract.diagnostic(f"{quoted(error.value)} {message}", remedy, *error.path)


def _check_enum(contract: Node, error: Violation) -> Iterator[Diagnostic]:
    kind = "canonical code" if error.path[-1] == "code" else f"valid {error.path[-1]}"
    remedy = f"use one of {', '.join(error.expected)}"
    yield contract.diagnostic(f"{quoted(error.value)} is not a {kind}", remedy, *error.path)


def _check_type(contract: Node, error: Violation) -> Iterator[Diagnostic]:
    remedy = f"use {_TYPES[error.expected]}"
    if error.expected == "string" and error.path[-1] in _PATTERNS:
        remedy = _pattern_text(error)[1]
    if error.expected == "string" and type(error.value) in {int, float}:
        text = quoted(error.value)
        fits = re.search(error.schema.get("pattern", ""), text)
        remedy = "quote it, so that it is text" if fits else _pattern_text(error)[1]
    yield contract.diagnostic(f"is {_kind(error.value)}", remedy, *error.path)


_CHECKS: Final[dict[str, Callable[[Node, Violation], Iterator[Diagnostic]]]] = {
    "required": _check_required,
    "additionalProperties": _check_unknown,
    "enum": _check_enum,
    "pattern": _check_pattern,
    "type": _check_type,
}
"""The keywords of the meta-schema whose messages depend on more than their value."""


def _pattern_text(error: Violation) -> tuple[str, str]:
    """Return the message and the remedy for a string that does not match its pattern."""
    names = [step for step in error.path if isinstance(step, str)]
    return _PATTERNS.get(names[-1], _NAME)


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    for python, kind in ((bool, "boolean"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, python):
            return _TYPES[kind]
    return f"the number {quoted(value)}"
