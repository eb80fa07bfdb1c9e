"""`unevaluatedProperties` and `unevaluatedItems` as formulas.

Which members and items are evaluated depends on which of the schemas beside the keyword hold. Each
way in which they may hold is a case, and what is not evaluated in it is known.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from weenats_codegen.compatibility.budget import OutOfStepsError
from weenats_codegen.compatibility.formula.atoms import Has, OtherMembers
from weenats_codegen.compatibility.formula.formulas import items_from
from weenats_codegen.ir.bundle import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydantic import JsonValue

    from weenats_codegen.compatibility.formula.compiler import Compiler
    from weenats_codegen.compatibility.formula.formulas import Formula
    from weenats_codegen.ir.bundle import Schema

_MAX_CASES: Final = 1024
_MAX_DEPTH: Final = 30


class _Case(NamedTuple):
    """What is evaluated if some conditions hold.

    Attributes:
        conditions: The conditions.
        names: The members with these names.
        patterns: The members whose names match one of these.
        all_members: Whether all members are evaluated.
        items: How many items at the beginning.
        contained: Also the items that are as one of these says.
        all_items: Whether all items are evaluated.
    """

    conditions: frozenset[Formula] = frozenset()
    names: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    all_members: bool = False
    items: int = 0
    contained: frozenset[Formula] = frozenset()
    all_items: bool = False


class Unevaluated:
    """Finds out what is evaluated beside `unevaluated...` keywords."""

    def __init__(self, compiler: Compiler) -> None:
        """Initialize an evaluation.

        Args:
            compiler: Makes the formulas of schemas.
        """
        self._compiler: Final = compiler
        self._formulas: Final = compiler.formulas

    def unevaluated(self, schema: Schema) -> list[Formula]:
        """Return the formulas of the `unevaluated...` keywords of a schema.

        Args:
            schema: The schema.

        Raises:
            OutOfStepsError: There are too many cases.
        """
        cases = self._cases_beside(schema, 0)
        members = schema.get("unevaluatedProperties", True)
        items = schema.get("unevaluatedItems", True)
        formulas = self._formulas
        return [
            formulas.any(
                [
                    *(formulas.negation(condition) for condition in case.conditions),
                    formulas.all(
                        [
                            self._rest_of_members(case, self._compiler.schema(members)),
                            self._rest_of_items(case, self._compiler.schema(items)),
                        ]
                    ),
                ]
            )
            for case in cases
        ]

    def _rest_of_members(self, case: _Case, formula: Formula) -> Formula:
        if case.all_members:
            return self._formulas.true
        return self._formulas.atom(OtherMembers(case.names, case.patterns, formula))

    def _rest_of_items(self, case: _Case, formula: Formula) -> Formula:
        if case.all_items:
            return self._formulas.true
        formula = self._formulas.any([formula, *case.contained])
        return items_from(self._formulas, case.items, formula)

    def _cases(self, schema: JsonValue, depth: int) -> list[_Case]:
        """Return the cases of a schema that holds."""
        if not isinstance(schema, dict):
            return [_Case()]
        all_items, all_members = "unevaluatedItems" in schema, "unevaluatedProperties" in schema
        return [
            case._replace(
                all_items=case.all_items or all_items, all_members=case.all_members or all_members
            )
            for case in self._cases_beside(schema, depth)
        ]

    def _cases_beside(self, schema: Schema, depth: int) -> list[_Case]:
        if depth > _MAX_DEPTH:
            raise OutOfStepsError
        own = _Case(
            names=frozenset(cast("Schema", schema.get("properties", {}))),
            patterns=frozenset(cast("Schema", schema.get("patternProperties", {}))),
            all_members="additionalProperties" in schema,
            items=len(cast("list[JsonValue]", schema.get("prefixItems", []))),
            contained=frozenset(
                {self._compiler.schema(schema["contains"])} if "contains" in schema else ()
            ),
            all_items="items" in schema,
        )
        result = [own]
        for choices in self._choices(schema, depth + 1):
            result = _merged(_joined(pair) for pair in product(result, _merged(choices)))
            if len(result) > _MAX_CASES:
                raise OutOfStepsError
        return result

    def _choices(self, schema: Schema, depth: int) -> Iterator[list[_Case]]:
        """Yield for each schema inside that applies to the same value its cases."""
        if isinstance(ref := schema.get("$ref"), str):
            yield self._cases(self._compiler.definitions[ref.removeprefix(PREFIX)], depth)
        for part in cast("list[JsonValue]", schema.get("allOf", [])):
            yield self._cases(part, depth)
        for key in ("anyOf", "oneOf"):
            for part in cast("list[JsonValue]", schema.get(key, [])):
                yield self._if_holds(part, depth)
        if "if" in schema:
            condition = self._compiler.schema(schema["if"])
            then = product(self._cases(schema["if"], depth), self._cases(schema.get("then"), depth))
            otherwise = self._cases(schema.get("else"), depth)
            yield [
                *self._under(condition, map(_joined, then)),
                *self._under(self._formulas.negation(condition), otherwise),
            ]
        for name, part in cast("Schema", schema.get("dependentSchemas", {})).items():
            has = self._formulas.negation(self._formulas.atom(Has(name), is_met=False))
            yield [
                *self._under(has, self._cases(part, depth)),
                *self._under(self._formulas.negation(has), [_Case()]),
            ]

    def _if_holds(self, schema: JsonValue, depth: int) -> list[_Case]:
        holds = self._compiler.schema(schema)
        return [
            *self._under(holds, self._cases(schema, depth)),
            *self._under(self._formulas.negation(holds), [_Case()]),
        ]

    def _under(self, condition: Formula, cases: Iterable[_Case]) -> Iterator[_Case]:
        if condition is self._formulas.false:
            return
        for case in cases:
            if condition is not self._formulas.true:
                case = case._replace(conditions=case.conditions | {condition})  # noqa: PLW2901
            yield case


def _joined(cases: Iterable[_Case]) -> _Case:
    """Return what is evaluated if all of some cases hold."""
    cases = list(cases)
    return _Case(
        frozenset().union(*(case.conditions for case in cases)),
        frozenset().union(*(case.names for case in cases)),
        frozenset().union(*(case.patterns for case in cases)),
        any(case.all_members for case in cases),
        max(case.items for case in cases),
        frozenset().union(*(case.contained for case in cases)),
        any(case.all_items for case in cases),
    )


def _merged(cases: Iterable[_Case]) -> list[_Case]:
    """Return some cases, as one without new conditions if all evaluate the same."""
    found = list(dict.fromkeys(cases))
    if len({case._replace(conditions=frozenset()) for case in found}) > 1:
        return found
    first, *others = found
    common = first.conditions.intersection(*(case.conditions for case in others))
    return [first._replace(conditions=common)]
