"""Names that are written in another style than most of their kind."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from weenats_codegen import naming
from weenats_codegen.lint.rule import Rule, Subject
from weenats_codegen.parser.diagnostics import Diagnostic, Location, quoted
from weenats_codegen.parser.walk import entries, owners

_STYLES: Final = {
    "kebab-case": re.compile(r"[a-z0-9]+(-[a-z0-9]+)*"),
    "camelCase": re.compile(r"[a-z0-9]+([A-Z][a-z0-9]*)*"),
    "snake_case": re.compile(r"[a-z0-9]+(_[a-z0-9]+)*"),
    "PascalCase": re.compile(r"([A-Z][a-z0-9]*)+"),
}
_SEPARATORS: Final = {"kebab-case": "-", "snake_case": "_"}
_SECTIONS: Final = ("commands", "queries", "events", "errors")


def _check(subject: Subject) -> Iterator[Diagnostic]:
    root = subject.root
    names = [(name, node.location) for name, node in owners(root) if name]
    names += [
        (entry.name, entry.node.location)
        for section in _SECTIONS
        for entry in entries(root, section)
    ]
    yield from _deviations(names, "kebab-case")
    members = {part.location: part.member for part in subject.parts if part.member}
    yield from _deviations([(name, place) for place, name in members.items()], "camelCase")


def _deviations(names: Sequence[tuple[str, Location]], convention: str) -> Iterator[Diagnostic]:
    """Yield the names that are not in the style that most have; names of one word are in any."""
    styles = Counter(
        style
        for name, _ in names
        if len(naming.words(name)) > 1 and (style := _style(name)) is not None
    )
    usual = max(styles, key=lambda style: (styles[style], style == convention), default=convention)
    for name, place in names:
        if not _STYLES[usual].fullmatch(name):
            remedy = f"rename it to {_written(name, usual)} in the next major version"
            yield Diagnostic(
                place, f"the name {quoted(name)} is not {usual}, as others are", remedy
            )


def _style(name: str) -> str | None:
    return next((style for style, form in _STYLES.items() if form.fullmatch(name)), None)


def _written(name: str, style: str) -> str:
    words = [word.lower() for word in naming.words(name)] or ["name"]
    if style in _SEPARATORS:
        return _SEPARATORS[style].join(words)
    joined = "".join(map(str.capitalize, words))
    return joined if style == "PascalCase" else f"{words[0]}{joined[len(words[0]) :]}"


INCONSISTENT_NAME: Final = Rule(
    id="inconsistent-name",
    level="warning",
    summary="a name is written in another style than most of the contract",
    why="""\
Callers guess names. Operations, events, errors and aggregates are kebab-case by convention, members
camelCase; a contract that uses another style throughout is fine. Names are on the wire: another
one breaks every caller, so this is best found before the first release.""",
    wrong="""\
queries:
  find-names:
    description: Find names.
    result: {type: array, items: {type: string}}
  count-names:
    description: Count names.
    result: {type: integer}
  list_all:
    description: List names.
    result: {type: array, items: {type: string}}""",
    right="""\
queries:
  find-names:
    description: Find names.
    result: {type: array, items: {type: string}}
  count-names:
    description: Count names.
    result: {type: integer}
  list-all:
    description: List names.
    result: {type: array, items: {type: string}}""",
    check=_check,
)
