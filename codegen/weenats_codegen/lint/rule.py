"""Rules of contracts: each has an id, a level, an explanation with examples, and a check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from weenats_codegen.ir.shapes.conjunction import Conjoiner
from weenats_codegen.lint.parts import Part, parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from weenats_codegen.ir.bundle import Bundle, Schema
    from weenats_codegen.parser.diagnostics import Diagnostic
    from weenats_codegen.parser.source import Source
    from weenats_codegen.parser.walk import Node

Level = Literal["error", "warning"]
"""Errors keep a package from being generated; warnings are what hurts later."""


@dataclass(frozen=True)
class Subject:
    """A contract that rules look at.

    Attributes:
        source: The contract as it is written.
        bundle: Its schemas.
    """

    source: Source
    bundle: Bundle

    @property
    def root(self) -> Node:
        """The content of service.yaml."""
        return self.source.root

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Every schema that messages consist of, those inside other schemas included."""
        return tuple(parts_of(self.bundle))

    @cached_property
    def conjoiner(self) -> Conjoiner:
        """What follows the references of the schemas."""
        return Conjoiner(self.bundle.definitions)

    def keywords(self, part: Part) -> Schema:
        """Return the keywords of a schema, with those that it refers to.

        Args:
            part: The schema.
        """
        return self.conjoiner.conjoin(part.schema, lambda _: None).keywords

    @cached_property
    def requested(self) -> tuple[tuple[Part, Schema], ...]:
        """The schemas of values in requests, with their keywords."""
        return tuple(
            (part, self.keywords(part))
            for part in self.parts
            if part.role == "request" and part.is_alternative
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that contracts follow.

    Attributes:
        id: Its name: kebab-case words that say what is wrong.
        level: How bad it is.
        summary: What is wrong, in one line.
        why: What happens to those who break it.
        wrong: Members of a contract that break it, as YAML.
        right: The same members as they should be.
        check: Yields what breaks it in a contract.
    """

    id: str
    level: Level
    summary: str
    why: str
    wrong: str
    right: str
    check: Callable[[Subject], Iterable[Diagnostic]]

    @property
    def page(self) -> str:
        """The explanation of the rule, for people."""
        accepted = _IGNORE.format(id=self.id) if self.level == "warning" else _ERROR
        return (
            f"{self.id} ({self.level}): {self.summary}\n\n{self.why.strip()}\n\n"
            f"Wrong:\n\n{_indented(self.wrong)}\n\nRight:\n\n{_indented(self.right)}\n\n{accepted}"
        )


def names_type(keywords: Schema, name: str) -> bool:
    """Return whether the `type` of a schema names a type, alone or with others.

    Args:
        keywords: The keywords of the schema.
        name: The name of the type.
    """
    kinds = keywords.get("type")
    return kinds == name or (isinstance(kinds, list) and name in kinds)


class Finding(NamedTuple):
    """A place of a contract that breaks a rule.

    Attributes:
        diagnostic: The place, what is wrong there, and how to fix it.
        rule: The rule.
    """

    diagnostic: Diagnostic
    rule: Rule


_ERROR: Final = "`weenats generate` refuses such a contract; the rule cannot be ignored."
_IGNORE: Final = """\
To accept it at one place, or without `at` everywhere, add to service.yaml:

  lint:
    ignore:
      - {{rule: {id}, at: '#/commands/NAME', reason: Why it is right here.}}"""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.strip("\n").split("\n"))
