"""The shapes of schemas: what editors and type checkers see of them.

A shape is as narrow as a model can be, and never narrower than its schema. What a shape leaves out
is noted: a schema whose shape leaves out nothing is exact by its model alone, and every other one
is checked against the schema itself at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weenats_codegen import naming
from weenats_codegen.ir.shapes.defaults import settle_defaults
from weenats_codegen.ir.shapes.depth import cut_deep_references
from weenats_codegen.ir.shapes.discriminators import settle_discriminators
from weenats_codegen.ir.shapes.grammar import (
    ANY,
    Json,
    Schema,
    is_class,
    map_shapes,
    ref_name,
    references,
)
from weenats_codegen.ir.shapes.secrets import Secrets, hide_secrets
from weenats_codegen.ir.shapes.shaper import Reason, Shaper

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from weenats_codegen.ir.bundle import External
    from weenats_codegen.ir.library import Shared

__all__ = ["Reason", "Shapes", "shape"]


@dataclass(frozen=True, slots=True)
class Shapes:
    """The shapes of the schemas of a contract.

    Attributes:
        definitions: The shapes by name, sorted: what becomes a class or an alias.
        reasons: For each root, the keywords that its model does not enforce; nothing if the model
            alone is exact.
        secrets: The members that `repr()` must not show.
        shared: The models that libraries have, by the names that they have here.
    """

    definitions: dict[str, Schema]
    reasons: dict[str, tuple[Reason, ...]]
    secrets: Secrets
    shared: Mapping[str, External] = field(default_factory=dict[str, "External"])

    def is_class(self, name: str) -> bool:
        """Return whether a definition becomes a class, not an alias."""
        return is_class(self.definitions[name])

    def only(self, roots: Iterable[str]) -> Shapes:
        """Return the shapes of some roots."""
        reasons = {root: self.reasons[root] for root in roots}
        names = set(_reached(self._references, *reasons))
        definitions = {name: self.definitions[name] for name in sorted(names)}
        shared = {name: self.shared[name] for name in self.shared if name in names}
        return Shapes(definitions, reasons, self.secrets, shared)

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
        hide_secrets(shapes, self.secrets, self.shared)  # more values are shown as they are
        return Shapes(shapes, reasons, self.secrets, self.shared).only(reasons)

    def reached(self, root: str) -> list[str]:
        """Return a definition and those that it refers to."""
        return _reached(self._references, root)

    def is_exact(self, root: str) -> bool:
        """Return whether the model of a root accepts exactly what its schema allows."""
        return not self.reasons[root]

    def _references(self, name: str) -> Iterator[str]:
        return references(self.definitions[name])


def shape(
    definitions: Mapping[str, Json],
    roots: Iterable[str],
    class_name: Callable[[str], str] = naming.class_name,
    taken: AbstractSet[str] = frozenset(),
    shared: Shared | None = None,
) -> Shapes:
    """Return the shapes of some schemas.

    Args:
        definitions: The flat bundle: schemas by class name, whose references are `#/$defs/NAME`.
        roots: The definitions that messages consist of.
        class_name: Makes a class name of a name in a schema.
        taken: Names that no other class may have.
        shared: The shapes of the definitions that libraries have.
    """
    known = {} if shared is None else shared.shapes
    shaper = Shaper(definitions, class_name, taken | known.keys())
    shaper.shapes.update(known)
    shaper.reasons.update(
        (name, list(reasons)) for name, reasons in (shared.reasons if shared else {}).items()
    )
    for name in sorted(definitions.keys() - known.keys()):
        shaper.add(name)
    shapes = shaper.shapes
    for name, class_of_it in _straighten_circles(shapes, definitions).items():
        shaper.reasons[name] += shaper.reasons[class_of_it]
    cut_deep_references(shapes, lambda name: shaper.reasons[name].append(Reason(name, "/$ref")))
    settle_discriminators(shapes)
    settle_defaults(shapes)
    secrets = Secrets(definitions)
    origins = shared.origins if shared else {}
    hide_secrets(shapes, secrets, origins)
    referred = _referred(shapes)
    reasons = {
        root: [each for name in _reached(referred, root) for each in shaper.reasons[name]]
        for root in roots
    }
    found = {root: tuple(dict.fromkeys(each)) for root, each in reasons.items()}
    return Shapes(shapes, found, secrets, origins).only(found)


def _straighten_circles(shapes: dict[str, Schema], written: Container[str]) -> dict[str, str]:
    """Take aliases out of circles with the class that they stand for.

    pydantic cannot build an alias of a class that leads back to this alias, and some others of
    recursive classes. A class whose name was made up here takes the name of its alias; members of a
    class with a name of its own refer to it directly.

    Args:
        shapes: The definitions; changed in place.
        written: The names that the contract gives.

    Returns:
        The names that classes were given, and those that they had.
    """
    referred = _referred(shapes)
    targets = {
        name: ref_name(shape)
        for name, shape in sorted(shapes.items())
        if "$ref" in shape and name in _reached(referred, ref_name(shape))
    }
    given: dict[str, str] = {}
    for name, target in targets.items():
        if target not in written and is_class(shapes.get(target, {})):
            shapes[name] = shapes.pop(target)
            given[name] = target
    renamed = {old: new for new, old in given.items()}
    names = {name: renamed.get(target, target) for name, target in targets.items()} | renamed

    def straightened(part: Schema) -> Schema:
        target = names.get(ref_name(part))
        return part if target is None else {**part, "$ref": f"#/$defs/{target}"}

    if targets:
        for name, each in shapes.items():
            shapes[name] = map_shapes(each, straightened)
    return given


def _referred(shapes: Mapping[str, Schema]) -> Callable[[str], Iterable[str]]:
    """Return what gives the definitions that a definition refers to; each shape is read once."""
    return {name: [*dict.fromkeys(references(each))] for name, each in shapes.items()}.__getitem__


def _reached(referred: Callable[[str], Iterable[str]], *roots: str) -> list[str]:
    """Return definitions and those that they refer to, the nearest first."""
    found = dict.fromkeys(roots)
    pending = [*roots]
    for name in pending:
        for other in referred(name):
            if other not in found:
                found[other] = None
                pending.append(other)
    return list(found)
