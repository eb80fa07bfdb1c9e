"""Whether every value that one schema allows is allowed by another, with a proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from weenats_codegen.compatibility.budget import Budget, OutOfStepsError
from weenats_codegen.compatibility.formula.compiler import Compiler
from weenats_codegen.compatibility.formula.definitions import Definitions
from weenats_codegen.compatibility.formula.formulas import Formulas
from weenats_codegen.compatibility.formula.oracle import validator_of_all
from weenats_codegen.compatibility.random_documents import documents
from weenats_codegen.compatibility.regular.syntax import UnsupportedPatternError
from weenats_codegen.compatibility.simplify import simplified
from weenats_codegen.compatibility.solve.outcome import Found, Nothing, Unknown
from weenats_codegen.compatibility.solve.solver import Solver
from weenats_codegen.ir.bundle import PREFIX, judged

if TYPE_CHECKING:
    from collections.abc import Mapping

    import jsonschema_rs
    from pydantic import JsonValue

    from weenats_codegen.compatibility.solve.outcome import Outcome

MAX_STEPS: Final = 400_000
"""What the search for a value may cost."""
_DRAWN: Final = 200
"""The documents that a proof has to agree with."""
_MANY_DRAWN: Final = 3000
"""The documents that are drawn if there is no proof, unless few steps are left."""
DRAWN_PARTS: Final = 100_000
"""The parts that documents drawn for one definition may have together."""

Side = Literal[0, 1]
"""The old bundle is 0, the new one is 1."""


@dataclass(frozen=True, slots=True)
class Containment:
    """Whether a schema allows all that another allows.

    Attributes:
        holds: True if it does, False if it does not, None if that is not known.
        counterexample: If it does not, a value that the other allows and it does not.
        tried: If it is not known, what was tried.
    """

    holds: bool | None
    counterexample: JsonValue = None
    tried: tuple[str, ...] = ()


class Containments:
    """Compares the schemas of two bundles.

    Attributes:
        steps: What the search for the next counterexample may cost.
        parts: How many parts the documents that are drawn for the next one may have together.
    """

    def __init__(
        self,
        old: Mapping[str, JsonValue],
        new: Mapping[str, JsonValue],
        *,
        steps: int = MAX_STEPS,
    ) -> None:
        """Initialize the comparison.

        Args:
            old: The definitions of the old bundle.
            new: The definitions of the new bundle.
            steps: What the search for one counterexample may cost.
        """
        self._bundles: Final = tuple(
            {name: judged(schema) for name, schema in bundle.items()} for bundle in (old, new)
        )
        self._judges: Final[dict[Side, jsonschema_rs.Validator]] = {}
        self.steps = steps
        self.parts = DRAWN_PARTS
        self._parts: Final = Budget(self.parts)
        self._budget: Final = Budget(steps)
        self._definitions: Final = Definitions(old, new)
        self._compiler: Final = Compiler(Formulas(), self._definitions.definitions)
        self._solver: Final = Solver(self._compiler, self._budget)

    def allows_all(self, name: str, side: Side, other: str) -> Containment:
        """Return whether a definition allows all that one of the other bundle allows.

        Args:
            name: The definition.
            side: Its bundle.
            other: The definition in the other bundle.
        """
        self._budget.left = self.steps
        other_side: Side = 0 if side else 1
        classes = self._definitions.name(side, name), self._definitions.name(other_side, other)
        if classes[0] == classes[1]:
            return Containment(holds=True)
        wide, narrow = self._judge(side), self._judge(other_side)

        def breaks(value: JsonValue) -> bool:
            return narrow.is_valid({other: value}) and not wide.is_valid({name: value})

        outcome = self._search(*reversed(classes))
        if isinstance(outcome, Found) and breaks(outcome.value):
            return Containment(holds=False, counterexample=simplified(outcome.value, breaks))
        is_proved = isinstance(outcome, Nothing)
        most = _DRAWN if is_proved or self.steps < _MANY_DRAWN else _MANY_DRAWN
        count = 0
        self._parts.left = self.parts
        for document in documents(self._bundles[other_side], other, most, self._parts):
            count += 1
            if breaks(document):
                return Containment(holds=False, counterexample=simplified(document, breaks))
        if is_proved:
            return Containment(holds=True)
        reason = outcome.reason if isinstance(outcome, Unknown) else "an unconfirmed value"
        tried = (
            f"a search for a counterexample, which ended at: {reason}",
            f"{count} documents, drawn from the schema",
        )
        return Containment(holds=None, tried=tried)

    def _judge(self, side: Side) -> jsonschema_rs.Validator:
        """Return the validator of a bundle, which is compiled once for all its definitions."""
        if side not in self._judges:
            self._judges[side] = validator_of_all(self._bundles[side])
        return self._judges[side]

    @property
    def spent(self) -> int:
        """What the last search cost."""
        return min(self.steps, self.steps - self._budget.left)

    @property
    def drawn(self) -> int:
        """How many parts the documents had that were drawn for the last search."""
        return min(self.parts, self.parts - self._parts.left)

    def _search(self, narrow: str, wide: str) -> Outcome:
        formulas = self._compiler.formulas
        try:
            return self._solver.find(
                [
                    self._compiler.ref(PREFIX + narrow),
                    formulas.negation(self._compiler.ref(PREFIX + wide)),
                ]
            )
        except OutOfStepsError:
            return Unknown(f"{self.steps} steps")
        except (RecursionError, UnsupportedPatternError):
            return Unknown("a schema that is too deep or too large")
