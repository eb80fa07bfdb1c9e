"""The schemas of a contract, from many files and dialects, as one flat bundle.

References are resolved where they are written, then each schema is translated to 2020-12. A schema
may have several definitions: for requests and for replies where `readOnly` and `writeOnly` make a
difference, and for each dynamic scope where `$dynamicRef` does. Definitions that turn out to be
equal are one.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from weenats_codegen import naming
from weenats_codegen.ir.bundle import MANY, NAMED, ONE, PREFIX, Bundle, External, slots
from weenats_codegen.ir.contract_schemas import Member, contract_members
from weenats_codegen.ir.definition_names import Definition, name_definitions
from weenats_codegen.ir.discriminators import with_discriminator
from weenats_codegen.ir.exports import exports
from weenats_codegen.ir.library import Library, Variants, with_inner
from weenats_codegen.ir.members import marked_members
from weenats_codegen.ir.references import RECURSIVE, References, Scope, Target
from weenats_codegen.ir.variants import Direction, Variant
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic
from weenats_codegen.parser.dialects import Ref, Tree, with_null, without_null
from weenats_codegen.parser.refs import split
from weenats_codegen.parser.resources import Place
from weenats_codegen.parser.text import visible
from weenats_codegen.parser.walk import (
    Node,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.library_source import LibrarySource
    from weenats_codegen.parser.resources import Context, Resources
    from weenats_codegen.parser.source import Source

_MAX_DEFINITIONS: Final = 60_000
_MAX_VARIANTS: Final = 256
"""How many definitions one schema may have; dynamic scopes may be exponentially many."""
_IN_PLACE: Final = frozenset({
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
})  # fmt: skip
"""Keywords whose schemas apply to the same value."""
_REQUIRING: Final = _IN_PLACE | {"required"}
"""Keywords of schemas that may demand members."""
_TEXTS: Final = frozenset({"title", "description"})


class _Key(NamedTuple):
    """What a definition is made of."""

    location: Location
    direction: Direction
    scope: Scope


_AnyKey: TypeAlias = _Key | External
GetLibrary: TypeAlias = "Callable[[str], Library]"
"""Returns the library in a folder, relative to the root folder; raises `ContractError`."""


class _State(NamedTuple):
    """What the meaning of a schema inside a definition depends on."""

    definition: Definition[_AnyKey]
    direction: Direction
    scope: Scope
    context: Context
    marks: Mapping[str, frozenset[str]]


def bundle_contract(source: Source, libraries: GetLibrary | None = None) -> Bundle:
    """Return all schemas that the operations, errors and events of a contract use.

    Args:
        source: The contract. Names that its package exports are avoided.
        libraries: Returns the library in a folder; without it, schemas of libraries are copied.
    """
    return bundle_members(
        source.resources,
        contract_members(source.root),
        taken=frozenset(name for name, _ in exports(source.root)),
        libraries=libraries,
    )


def bundle_library(source: LibrarySource, libraries: GetLibrary) -> tuple[Bundle, Variants]:
    """Return all schemas of a library, and which definition is which schema.

    Args:
        source: The library.
        libraries: Returns another library.
    """
    is_plain = not any(map(_needs_variants, source.resources.schemas))
    bundler = _Bundler(source.resources, naming.class_name, is_plain=is_plain, libraries=libraries)
    bundler.add_schemas(source.schemas)
    return bundler.bundle(frozenset()), bundler.variants()


def bundle_members(
    resources: Resources,
    members: Iterable[Member],
    class_name: Callable[[str], str] = naming.class_name,
    taken: frozenset[str] = frozenset(),
    libraries: GetLibrary | None = None,
) -> Bundle:
    """Return some schemas and all that they refer to.

    Args:
        resources: The files that the schemas are in.
        members: The schemas.
        class_name: Makes a class name of a name in a schema.
        taken: Names that no definition may have.
        libraries: Returns the library in a folder; without it, schemas of libraries are copied.
    """
    members = list(members)
    bundler = _Bundler(resources, class_name, is_plain=True, libraries=libraries)
    bundler.add(members)
    if any(_needs_variants(place) for place in resources.schemas):
        bundler = _Bundler(resources, class_name, is_plain=False, libraries=libraries)
        bundler.add(members)
    return bundler.bundle(taken)


def _needs_variants(place: Place) -> bool:
    schema = place.node.mapping
    return (
        schema.get("readOnly") is True
        or schema.get("writeOnly") is True
        or "$dynamicRef" in schema
        or "$recursiveRef" in schema
    )


def _dynamic_names(resources: Resources) -> frozenset[str]:
    """Return the dynamic anchors that the meaning of some schemas depends on."""
    found: set[str] = set()
    for place in resources.schemas:
        ref = place.node.mapping.get("$dynamicRef")
        if isinstance(ref, str):
            found.add(split(ref)[1])
        if "$recursiveRef" in place.node.mapping:
            found.add(RECURSIVE)
    return frozenset(found)


class _Bundler:
    """Collects definitions: `add` follows every reference, `bundle` names what was found."""

    def __init__(
        self,
        resources: Resources,
        class_name: Callable[[str], str],
        *,
        is_plain: bool,
        libraries: GetLibrary | None = None,
    ) -> None:
        """Initialize an empty bundler.

        Args:
            resources: The files that the schemas are in.
            class_name: Makes a class name of a name in a schema.
            is_plain: Whether every schema has one definition, whatever it is used for.
            libraries: Returns the library in a folder; without it, its schemas are copied.
        """
        self._resources: Final = resources
        self._class: Final = class_name
        self._is_plain: Final = is_plain
        self._get_library: Final = libraries
        self._libraries: Final[dict[str, Library]] = {}
        self._definitions: Final[dict[_AnyKey, Definition[_AnyKey]]] = {}
        self._pending: Final[list[tuple[Definition[_AnyKey], Target, Direction]]] = []
        self._variants: Final[Counter[Location]] = Counter()
        self._members: Final[dict[Location, Member]] = {}
        self._keys: Final[dict[Location, _AnyKey]] = {}
        self._diagnostics: Final[set[Diagnostic]] = set()
        self._references: Final = References(resources, self._diagnostics, is_plain=is_plain)

    def add(self, members: Iterable[Member]) -> None:
        """Add schemas, and everything that they refer to."""
        for member in members:
            self._members[member.schema.location] = member
        for member in self._members.values():
            place = self._resources.place(member.schema)
            direction = Direction.ANY if self._is_plain else member.direction
            end = self._references.end_of(place)
            if end is not None:
                self._keys[member.schema.location] = self._define(end, direction)
        self._complete()

    def add_schemas(self, schemas: Iterable[Place]) -> None:
        """Add schemas for messages of both directions, and everything that they refer to."""
        directions = (Direction.ANY,) if self._is_plain else (Direction.REPLY, Direction.REQUEST)
        for place in schemas:
            end = self._references.end_of(place)
            if end is not None:
                for direction in directions:
                    self._keys.setdefault(place.node.location, self._define(end, direction))
        self._complete()

    def _complete(self) -> None:
        """Make the content of definitions, and of those that they refer to."""
        while self._pending:
            definition, (place, scope), direction = self._pending.pop()
            state = _State(definition, direction, scope, place.context, {})
            definition.content = self._described(place, self._schema(place.node, state))

    def bundle(self, taken: frozenset[str]) -> Bundle:
        """Return what was added, with names."""
        names = self._names(taken)
        definitions: dict[str, JsonValue] = {}
        locations: dict[str, Location] = {}
        for key, definition in sorted(
            self._definitions.items(), key=lambda item: item[1].location, reverse=True
        ):
            for container, member, target in definition.targets:
                container[member] = f"{PREFIX}{names[target]}"
            definitions[names[key]] = definition.content
            locations[names[key]] = definition.location
        return Bundle(
            definitions={name: definitions[name] for name in sorted(definitions)},
            locations={name: locations[name] for name in sorted(locations)},
            names={location: names[key] for location, key in self._keys.items()},
            taken=taken,
            diagnostics=tuple(sorted(self._diagnostics)),
            external={names[key]: key for key in self._definitions if isinstance(key, External)},
        )

    def variants(self) -> Variants:
        """Return which definition each variant of a schema is."""
        names = self._names(frozenset())
        dynamic = _dynamic_names(self._resources)
        found = {
            Variant(
                key.location,
                key.direction,
                tuple(
                    (name, resource.root.location)
                    for name, resource in key.scope
                    if name in dynamic
                ),
            ): names[key]
            for key in self._definitions
            if isinstance(key, _Key)
        }
        plain = {
            location: names[key] for location, key in self._keys.items() if isinstance(key, _Key)
        }
        return Variants(found, plain, self._is_plain, dynamic)

    def _names(self, taken: frozenset[str]) -> dict[_AnyKey, str]:
        return name_definitions(self._definitions, self._class, taken, self._resources.relative)

    def _described(self, place: Place, content: JsonValue) -> JsonValue:
        member = self._members.get(place.node.location)
        if member is None or member.description is None or not isinstance(content, dict):
            return content
        # In place: references of the content are written into it later.
        own = dict(content)
        content.clear()
        content.update({"description": visible(str(member.description)), **own})
        return content

    def _external(self, target: Target, direction: Direction) -> External | None:
        """Return the definition of a library for a schema, None if it is to be defined here."""
        owner = self._resources.owner(target.place.context.resource)
        if self._get_library is None or owner is None or owner == self._resources.own:
            return None
        try:
            library = self._get_library(owner.folder)
        except ContractError as error:
            self._diagnostics.update(error.diagnostics)
            return None
        scope = tuple((name, resource.root.location) for name, resource in target.scope)
        name = library.variants.find(Variant(target.place.node.location, direction, scope))
        if name is None:
            return None
        self._libraries.update((each.package, each) for each in with_inner([library]))
        return External(library.package, name)

    def _add_external(self, key: External) -> None:
        """Add a definition of a library, and those that it refers to."""
        pending = [key]
        while pending:
            key = pending.pop()
            if key in self._definitions:
                continue
            bundle = self._libraries[key.package].bundle
            content = deepcopy(bundle.definitions[key.name])
            targets = [
                (container, member, bundle.external.get(name, External(key.package, name)))
                for container, member, name in slots(content)
            ]
            for container, member, _ in targets:
                container[member] = ""
            location = bundle.locations[key.name]
            definition = Definition[_AnyKey](key, location, content=content, external=key)
            definition.targets += targets
            self._definitions[key] = definition
            pending += [target for _, _, target in targets]

    def _define(self, target: Target, direction: Direction) -> _AnyKey:
        """Return the key of a definition; its content follows later.

        Schemas may refer to one another in chains that are longer than Python's stack.
        """
        external = self._external(target, direction)
        if external is not None:
            self._add_external(external)
            return external
        location = target.place.node.location
        key = _Key(location, direction, target.scope)
        if key not in self._definitions:
            if len(self._definitions) == _MAX_DEFINITIONS:
                message = f"needs more than {_MAX_DEFINITIONS} definitions"
                self._diagnostics.add(Diagnostic(location, message, "use fewer schemas"))
            self._variants[location] += 1
            if self._variants[location] > _MAX_VARIANTS:
                message = f"means different things in more than {_MAX_VARIANTS} dynamic scopes"
                self._diagnostics.add(Diagnostic(location, message, "use fewer $dynamicAnchors"))
            member = self._members.get(location)
            definition = Definition[_AnyKey](
                key,
                location,
                None if member is None else member.name,
                is_request=direction is Direction.REQUEST,
                scope=tuple(resource.root.location for _, resource in target.scope),
            )
            self._definitions[key] = definition
            has_room = len(self._definitions) <= _MAX_DEFINITIONS
            if has_room and self._variants[location] <= _MAX_VARIANTS:
                self._pending.append((definition, target, direction))
        return key

    def _reference(self, ref: Ref, state: _State) -> _AnyKey | None:
        """Return the definition that a reference leads to, None if there is none."""
        try:
            target = self._references.follow(ref, state.context, state.scope)
        except ContractError as error:
            self._diagnostics.update(error.diagnostics)
            return None
        end = self._references.end(target)
        return None if end is None else self._define(end, state.direction)

    def _schema(self, node: Node, state: _State) -> JsonValue:
        """Return a schema of a definition in 2020-12."""
        if not isinstance(node.value, dict):
            return node.value is not False  # lint reports what is not a schema
        context = self._resources.place(node).context
        scope = self._references.entered(state.scope, context.resource)
        state = state._replace(context=context, scope=scope)
        tree = without_null(node, context.dialect)
        if "discriminator" in tree:
            tree = with_discriminator(tree, self._resources, Place(node, context))
        tree = with_null(tree, node, context.dialect)
        if context.resource.has_unevaluated_items and not context.dialect.contains_evaluates:
            tree = _without_evaluated_contains(tree)
        if state.direction is not Direction.ANY and not _REQUIRING.isdisjoint(tree):
            own = marked_members(self._resources, self._resources.place(node))
            state = state._replace(marks={**state.marks, **own})
            tree = _without_required(tree, state)
        return self._tree(tree, state)

    def _tree(self, tree: Tree, state: _State) -> JsonValue:
        """Return a translated schema with the schemas and references in it replaced."""
        if isinstance(tree, Node):
            return self._schema(tree, state)
        if not isinstance(tree, dict):
            return cast("JsonValue", tree)
        result: dict[str, JsonValue] = {}
        for key, value in tree.items():
            inner = state if key in _IN_PLACE else state._replace(marks={})
            if isinstance(value, Ref):
                self._refer(result, key, value, state)
            elif key in ONE:
                result[key] = self._tree(value, inner)
            elif key in MANY and isinstance(value, list):
                result[key] = [self._tree(part, inner) for part in value]
            elif key in NAMED and isinstance(value, dict):
                result[key] = {name: self._tree(part, inner) for name, part in value.items()}
            elif key in _TEXTS and isinstance(value, str):
                result[key] = visible(value)
            elif key == "discriminator" and isinstance(value, dict):
                result[key] = self._discriminator(value, state)
            else:
                result[key] = cast("JsonValue", value)
        return result

    def _discriminator(self, tree: Mapping[str, Tree], state: _State) -> JsonValue:
        mapping: dict[str, JsonValue] = {}
        refs = tree.get("mapping")
        for name, ref in refs.items() if isinstance(refs, dict) else ():
            if isinstance(ref, Ref):
                self._refer(mapping, name, ref, state)
        name = cast("str", tree["propertyName"])
        return {"propertyName": name, "mapping": mapping} if mapping else {"propertyName": name}

    def _refer(self, container: dict[str, JsonValue], member: str, ref: Ref, state: _State) -> None:
        """Write a reference into a schema; the name of its target follows in `bundle`."""
        target = self._reference(ref, state)
        if target is not None:
            container[member] = ""
            state.definition.targets.append((container, member, target))


def _without_required(tree: dict[str, Tree], state: _State) -> dict[str, Tree]:
    """Remove the members from `required` that need not be in a message of this direction."""
    required = tree.get("required")
    unneeded = "readOnly" if state.direction is Direction.REQUEST else "writeOnly"
    if not isinstance(required, list):
        return tree
    kept = [name for name in required if unneeded not in state.marks.get(str(name), ())]
    if len(kept) == len(required):
        return tree
    rest = {key: value for key, value in tree.items() if key != "required"}
    return {**rest, "required": kept} if kept else rest


def _without_evaluated_contains(tree: dict[str, Tree]) -> dict[str, Tree]:
    """Hide `contains` from `unevaluatedItems`, which it concerns only since 2020-12."""
    moved = {key: tree[key] for key in ("contains", "minContains", "maxContains") if key in tree}
    if not moved:
        return tree
    rest = {key: value for key, value in tree.items() if key not in moved}
    parts = rest.get("allOf")
    hidden = {"not": {"not": moved}}
    return {**rest, "allOf": [*(parts if isinstance(parts, list) else []), hidden]}
