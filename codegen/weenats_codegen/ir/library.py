"""A library: the schemas of a folder that several contracts share."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from weenats_codegen.ir.bundle import PREFIX, External, reachable, without_descriptions
from weenats_codegen.ir.shapes.grammar import map_shapes, ref_name, references
from weenats_codegen.ir.variants import Direction, Variant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from weenats_codegen.ir.bundle import Bundle
    from weenats_codegen.ir.shapes import Reason, Shapes
    from weenats_codegen.ir.shapes.grammar import Schema
    from weenats_codegen.parser.diagnostics import Location

_DIGITS: Final = 16
"""How many digits of a digest are kept: it finds mistakes, not attacks."""
_DOCUMENTATION: Final = frozenset({"description", "deprecated"})


@dataclass(frozen=True, slots=True)
class Variants:
    """Which definition of a library each variant of a schema is.

    Attributes:
        names: The names of the definitions.
        plain: The names of those for replies, by the place of the schema.
        is_plain: Whether every schema of the library has one meaning.
        dynamic: The dynamic anchors that the library depends on.
    """

    names: Mapping[Variant, str]
    plain: Mapping[Location, str]
    is_plain: bool
    dynamic: frozenset[str]

    def find(self, variant: Variant) -> str | None:
        """Return the definition of a variant, None if the library has none."""
        location, direction, scope = variant
        if self.is_plain:
            return self.names.get(Variant(location, Direction.ANY, ()))
        if direction is Direction.ANY:
            return self.plain.get(location)
        relevant = tuple(each for each in scope if each[0] in self.dynamic)
        return self.names.get(Variant(location, direction, relevant))


@dataclass(frozen=True)
class Library:
    """A library with all Python names.

    Attributes:
        path: The path of its folder, as the user knows it.
        package: The Python package.
        bundle: All its schemas, and those of other libraries that they use.
        shapes: Their shapes, which become the models.
        variants: Which definition each variant of a schema is.
        libraries: The libraries that it uses, those that they use included.
    """

    path: str
    package: str
    bundle: Bundle
    shapes: Shapes
    variants: Variants
    libraries: tuple[Library, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """The names of its models, without those of other libraries."""
        return tuple(name for name in self.shapes.definitions if name not in self.shapes.shared)

    def origin(self, name: str) -> External:
        """Return which library has a model that this one knows by a name."""
        return self.shapes.shared.get(name, External(self.package, name))

    @cached_property
    def digests(self) -> dict[str, str]:
        """For each of its schemas a hash of what it means, and of its model.

        What it refers to is a part of it, documentation is not.
        """
        schemas = _hashes(without_descriptions(self.bundle))
        shapes = _hashes(
            {
                name: map_shapes(shape, _without_documentation)
                for name, shape in self.shapes.definitions.items()
            }
        )
        return {
            name: _hash(
                [
                    [(each, schemas[each]) for each in reachable(self.bundle.definitions, [name])],
                    [(each, shapes[each]) for each in sorted(self.shapes.reached(name))],
                ]
            )
            for name in self.bundle.definitions
            if name not in self.bundle.external
        }


@dataclass(frozen=True, slots=True)
class Shared:
    """The shapes of the schemas of libraries, by the names that a contract or a library uses.

    Attributes:
        shapes: The shapes, and those that they refer to.
        origins: Which library has each of them.
        reasons: For each schema, the keywords that its model does not enforce.
    """

    shapes: dict[str, Schema] = field(default_factory=dict[str, "Schema"])
    origins: dict[str, External] = field(default_factory=dict[str, External])
    reasons: dict[str, tuple[Reason, ...]] = field(default_factory=dict[str, "tuple[Reason, ...]"])


def shared_shapes(bundle: Bundle, libraries: Iterable[Library]) -> Shared:
    """Return the shapes of what a bundle has from libraries.

    Args:
        bundle: The bundle of a contract or a library.
        libraries: The libraries that it uses, those that they use included.
    """
    by_package = {library.package: library for library in libraries}
    names = {origin: name for name, origin in bundle.external.items()}
    shared = Shared()
    pending = list(names)
    while pending:
        origin = pending.pop()
        name, library = names[origin], by_package[origin.package]
        if name in shared.shapes:
            continue
        found = library.shapes.definitions[origin.name]
        for each in references(found):
            inner = library.origin(each)
            if inner not in names:  # a class that a library made up; no name of a contract is such
                names[inner] = f"Shared{len(names)}x{inner.name}"
            pending.append(inner)
        shared.shapes[name] = map_shapes(found, partial(_renamed, library=library, names=names))
        shared.origins[name] = origin
        shared.reasons[name] = library.shapes.reasons.get(origin.name, ())
    return shared


def with_inner(libraries: Iterable[Library]) -> tuple[Library, ...]:
    """Return some libraries and those that they use, sorted by package, each once."""
    found = {inner.package: inner for each in libraries for inner in (each, *each.libraries)}
    return tuple(found[package] for package in sorted(found))


def _renamed(part: Schema, library: Library, names: Mapping[External, str]) -> Schema:
    name = ref_name(part)
    return {**part, "$ref": f"{PREFIX}{names[library.origin(name)]}"} if name else part


def _without_documentation(part: Schema) -> Schema:
    return {key: value for key, value in part.items() if key not in _DOCUMENTATION}


def _hashes(values: Mapping[str, object]) -> dict[str, str]:
    return {name: _hash(value) for name, value in values.items()}


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:_DIGITS]
