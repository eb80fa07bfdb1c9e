"""service.yaml against its meta-schema: members that lack, are unknown, or have no valid value."""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Any, Final

from weenats_codegen.lint.validation import Fault, faults
from weenats_codegen.parser.diagnostics import joined, shown
from weenats_codegen.parser.syntax import Flaw
from weenats_codegen.resources import service_meta_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import JsonValue

_NAME: Final = "a letter first, then letters, digits, dashes and underscores, at most 50 in all"
_PATTERNS: Final = {
    "service": (
        "is no name of a service",
        "use lower-case letters, digits and dashes, a letter first, at most 50 in all",
    ),
    "version": ("is no semantic version", "write one like 1.0.0 (semver.org)"),
    "package": (
        "is no name of a Python package",
        "use lower-case letters, digits and underscores, a letter first",
    ),
    "scopes": ("is no scope", "use printable ASCII without spaces, quotes and backslashes"),
}
_CLOSE: Final = 0.75
_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
    "number": "a number",
}


def check_shape(contract: JsonValue) -> Iterator[Flaw]:
    """Yield what the meta-schema refuses; schemas inside the contract are none of its business."""
    meta = json.loads(service_meta_schema(), object_hook=_whole)
    meta["$defs"]["schema"] = True  # check_schema looks at these, with words of its own
    for fault in faults(meta, contract):
        pointer = joined("", *fault.path)
        if fault.is_name:
            message = f"{shown(fault.value)} is no valid name"
            yield Flaw(joined(pointer, fault.value), message, f"use {_NAME}")
        else:
            yield from _WORDS[fault.keyword](pointer, fault)


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Make `$` the very end: in Python a last line break may follow it."""
    pattern = schema.get("pattern")
    return {**schema, "pattern": f"{pattern[:-1]}\\Z"} if isinstance(pattern, str) else schema


def _required(pointer: str, fault: Fault) -> Iterator[Flaw]:
    for name in fault.expected:
        if name not in fault.value:
            about = fault.schema.get("properties", {}).get(name, {}).get("description", "")
            remedy = f"add it: {about.removesuffix('.')}" if about else "add it"
            yield Flaw(pointer, f"lacks the member {name}", remedy)


def _unknown(pointer: str, fault: Fault) -> Iterator[Flaw]:
    known: list[str] = sorted(fault.schema["properties"])
    for name in fault.value:
        if name in known:
            continue
        close: list[str] = difflib.get_close_matches(str(name), known, n=1, cutoff=_CLOSE)
        message = f"the member {shown(name)} is unknown"
        remedy = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        if pointer == "/queries/get" and name == "result":
            message = "the query get answers the aggregate itself"
            remedy = "remove the result, or give the query another name"
        yield Flaw(joined(pointer, name), message, remedy)


def _pattern(pointer: str, fault: Fault) -> Iterator[Flaw]:
    message, remedy = _words_of_pattern(pointer)
    yield Flaw(pointer, f"{shown(fault.value)} {message}", remedy)


def _words_of_pattern(pointer: str) -> tuple[str, str]:
    """Return what is said of text that does not fit its pattern, and what to do about it."""
    return _PATTERNS.get(_member(pointer), ("is no valid name", f"use {_NAME}"))


def _member(pointer: str) -> str:
    """Return the member that a pointer ends in; items stand for their list."""
    above, _, last = pointer.rpartition("/")
    return above.rpartition("/")[2] if last.isdigit() else last


def _type(pointer: str, fault: Fault) -> Iterator[Flaw]:
    remedy = f"write {_TYPES[fault.expected]} here"
    if fault.expected == "string" and type(fault.value) in {int, float}:
        remedy = _remedy_of_number(pointer, fault)
    yield Flaw(pointer, f"is {_kind(fault.value)}", remedy)


def _remedy_of_number(pointer: str, fault: Fault) -> str:
    """Say that text is quoted which looks like a number, where such text is right at all."""
    text = shown(fault.value)
    if re.search(fault.schema.get("pattern", ""), text):
        return f'quote it: "{text}"'
    return _words_of_pattern(pointer)[1]


def _code(pointer: str, fault: Fault) -> Iterator[Flaw]:
    remedy = f"use one of {', '.join(fault.expected)}"
    yield Flaw(pointer, f"{shown(fault.value)} is no canonical code", remedy)


def _empty(pointer: str, _fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, "is empty", "fill it in, or leave it out")


def _long(pointer: str, fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, f"has more than {fault.expected} characters", "shorten it")


def _twice(pointer: str, _fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, "names one thing twice", "remove one of the two")


def _open_scopes(pointer: str, _fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, "has scopes, and callers need no token", "remove required, or the scopes")


def _small(pointer: str, fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, f"is {shown(fault.value)}", f"write {fault.expected} or more here")


def _large(pointer: str, fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, f"is {shown(fault.value)}", f"write {fault.expected} or less here")


def _nothing(pointer: str, _fault: Fault) -> Iterator[Flaw]:
    yield Flaw(pointer, "has no commands, no queries and no events", "declare at least one of them")


_WORDS: Final[dict[str, Callable[[str, Fault], Iterator[Flaw]]]] = {
    "required": _required,
    "additionalProperties": _unknown,
    "pattern": _pattern,
    "type": _type,
    "enum": _code,
    "minLength": _empty,
    "minProperties": _empty,
    "minItems": _empty,
    "maxLength": _long,
    "minimum": _small,
    "maximum": _large,
    "uniqueItems": _twice,
    "anyOf": _nothing,
    "not": _open_scopes,
}
"""What to say about each keyword that the meta-schema uses; a test holds the two together."""


def _kind(value: object) -> str:
    if value is None:
        return "empty"
    for python, kind in ((bool, "boolean"), (str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, python):
            return _TYPES[kind]
    return f"the number {shown(value)}"
