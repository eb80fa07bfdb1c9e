"""The shapes of schemas: what editors and type checkers see of them.

A shape is as narrow as a model can be, and never narrower than its schema. What a shape leaves out
is noted: a schema whose shape leaves out nothing is exact by its model alone, and every other one
is checked against the schema itself at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weenats_codegen import naming
from weenats_codegen.ir.shapes.defaults import settle_defaults
from weenats_codegen.ir.shapes.depth import cut_deep_references
from weenats_codegen.ir.shapes.discriminators import settle_discriminators
from weenats_codegen.ir.shapes.grammar import ANY, Json, Schema, is_class, references
from weenats_codegen.ir.shapes.shaper import Reason, Shaper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from collections.abc import Set as AbstractSet

__all__ = ["Reason", "Shapes", "shape"]


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of the schemas of a contract.

    Attributes:
        definitions: The shapes by name, sorted: what becomes a class or an alias.
        reasons: For each root, the keywords that its model does not enforce; nothing if the model
            alone is exact.
    """

    definitions: dict[str, Schema]
    reasons: dict[str, tuple[Reason, ...]]

    def is_class(self, name: str) -> bool:
        """Return whether a definition becomes a class, not an alias."""
        return is_class(self.definitions[name])

    def only(self, roots: Iterable[str]) -> Shapes:
        """Return the shapes of some roots."""
        names = {name for root in roots for name in _reached(self.definitions, root)}
        definitions = {name: self.definitions[name] for name in sorted(names)}
        return Shapes(definitions, {root: self.reasons[root] for root in roots})

    def without_models(self, roots: Iterable[str]) -> Shapes:
        """Return the shapes with some roots being any JSON value."""
        roots = set(roots)
        shapes = {
            name: {**ANY} if name in roots else each for name, each in self.definitions.items()
        }
        reasons = {
            root: (Reason(root, ""),) if root in roots else found
            for root, found in self.reasons.items()
        }
        return Shapes(shapes, reasons).only(reasons)

    def is_exact(self, root: str) -> bool:
        """Return whether the model of a root accepts exactly what its schema allows."""
        return not self.reasons[root]


def shape(
    definitions: Mapping[str, Json],
    roots: Iterable[str],
    class_name: Callable[[str], str] = naming.class_name,
    taken: AbstractSet[str] = frozenset(),
) -> Shapes:
    """Return the shapes of some schemas.

    Args:
        definitions: The flat bundle: schemas by class name, whose references are `#/$defs/NAME`.
        roots: The definitions that messages consist of.
        class_name: Makes a class name of a name in a schema.
        taken: Names that no other class may have.
    """
    shaper = Shaper(definitions, class_name, taken)
    for name in sorted(definitions):
        shaper.add(name)
    shapes = shaper.shapes
    cut_deep_references(shapes, lambda name: shaper.reasons[name].append(Reason(name, "/$ref")))
    settle_discriminators(shapes)
    settle_defaults(shapes)
    reasons = {
        root: [each for name in _reached(shapes, root) for each in shaper.reasons[name]]
        for root in roots
    }
    found = {root: tuple(dict.fromkeys(each)) for root, each in reasons.items()}
    return Shapes(shapes, found).only(found)


def _reached(shapes: Mapping[str, Schema], root: str) -> list[str]:
    """Return a definition and those that it refers to, the nearest first."""
    found = {root: None}
    pending = [root]
    for name in pending:
        for other in references(shapes[name]):
            if other not in found:
                found[other] = None
                pending.append(other)
    return list(found)
