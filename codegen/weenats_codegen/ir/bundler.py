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
from weenats_codegen.ir.definition_names import Definition, name_definitions
from weenats_codegen.ir.discriminators import with_discriminator
from weenats_codegen.ir.exports import exports
from weenats_codegen.ir.library import Library, Variants, with_inner
from weenats_codegen.ir.members import marked_members
from weenats_codegen.ir.variants import Direction, Variant
from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, quoted
from weenats_codegen.parser.dialects import Ref, Tree, translated
from weenats_codegen.parser.refs import split
from weenats_codegen.parser.resources import Place
from weenats_codegen.parser.text import visible
from weenats_codegen.parser.walk import (
    OPERATION_SCHEMAS,
    Entry,
    Node,
    entries,
    owners,
    previous_versions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.library_source import LibrarySource
    from weenats_codegen.parser.resources import Context, Resource, Resources
    from weenats_codegen.parser.source import Source

_MAX_DEFINITIONS: Final = 60_000
_MAX_VARIANTS: Final = 256
"""How many definitions one schema may have; dynamic scopes may be exponentially many."""
_RECURSIVE: Final = "#"
"""The name of `$recursiveAnchor` among those of dynamic anchors, none of which has this one."""
_REFERRING: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "allOf"})
"""Keywords without which a schema is not a reference."""
_NO_MEANING: Final = _REFERRING | frozenset({
    "$schema", "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment", "$defs",
    "definitions", "$vocabulary", "title", "description", "examples", "deprecated",
})  # fmt: skip
"""Keywords that make nothing else of a `$ref`."""
_IN_PLACE: Final = frozenset({
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
})  # fmt: skip
"""Keywords whose schemas apply to the same value."""
_REQUIRING: Final = _IN_PLACE | {"required"}
"""Keywords of schemas that may demand members."""
_TEXTS: Final = frozenset({"title", "description"})
_OWN_NAMES: Final = {
    "details": "{name}-details",
    "parameters": "{name}-parameters",
    "result": "{name}-result",
}
_OWN_DESCRIPTIONS: Final = {
    "parameters": "The parameters of the query {name}.",
    "result": "The result of {name}.",
}


class Member(NamedTuple):
    """A schema that messages consist of.

    Attributes:
        schema: The schema.
        name: Its name, unless it is only a `$ref`: then it has the name of the target.
        direction: The messages that it is a part of.
        description: Its description if it has none.
    """

    schema: Node
    name: str
    direction: Direction = Direction.ANY
    description: JsonValue = None


_Scope = tuple[tuple[str, "Resource"], ...]
"""The outermost resource of the dynamic scope that has each dynamic anchor, by its name."""


class _Key(NamedTuple):
    """What a definition is made of."""

    location: Location
    direction: Direction
    scope: _Scope


_AnyKey: TypeAlias = _Key | External
GetLibrary: TypeAlias = "Callable[[str], Library]"
"""Returns the library in a folder, relative to the root folder; raises `ContractError`."""


class _Target(NamedTuple):
    """A schema that a reference leads to, and the dynamic scope there."""

    place: Place
    scope: _Scope


class _State(NamedTuple):
    """What the meaning of a schema inside a definition depends on."""

    definition: Definition[_AnyKey]
    direction: Direction
    scope: _Scope
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


def contract_members(root: Node) -> Iterator[Member]:
    """Yield the schemas that the messages of a contract consist of.

    Args:
        root: The content of service.yaml.
    """
    for kind, aggregate in owners(root):
        if kind and "state" in aggregate.mapping:
            text = aggregate.mapping.get("description", f"The state of the aggregate {kind}.")
            yield Member(aggregate.get("state"), kind, Direction.REPLY, text)
        if kind and "key" in aggregate.mapping:
            text = f"The key of the aggregate {kind}."
            yield Member(aggregate.get("key"), f"{kind}-key", Direction.ANY, text)
    for section, keys in OPERATION_SCHEMAS.items():
        for entry in entries(root, section):
            name, node = entry.python_name, entry.node
            for key in keys:
                if key not in node.mapping:
                    continue
                own = _OWN_DESCRIPTIONS.get(key)
                yield Member(
                    node.get(key),
                    _OWN_NAMES.get(key, "{name}").format(name=name),
                    Direction.REQUEST if key in {"payload", "parameters"} else Direction.REPLY,
                    own.format(name=entry.name) if own else node.mapping.get("description"),
                )
            if section == "events":
                yield from _previous_data(entry)


def _previous_data(event: Entry) -> Iterator[Member]:
    for number, version in enumerate(previous_versions(event.node), 1):
        text = f"Version {number} of the data of {event.name}."
        yield Member(version.get("data"), f"{event.name}-v{number}", Direction.REPLY, text)


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
            found.add(_RECURSIVE)
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
        self._pending: Final[list[tuple[Definition[_AnyKey], _Target, Direction]]] = []
        self._variants: Final[Counter[Location]] = Counter()
        self._members: Final[dict[Location, Member]] = {}
        self._keys: Final[dict[Location, _AnyKey]] = {}
        self._ends: Final[dict[tuple[Location, _Scope], _Target | None]] = {}
        self._diagnostics: Final[set[Diagnostic]] = set()

    def add(self, members: Iterable[Member]) -> None:
        """Add schemas, and everything that they refer to."""
        for member in members:
            self._members[member.schema.location] = member
        for member in self._members.values():
            place = self._resources.place(member.schema)
            direction = Direction.ANY if self._is_plain else member.direction
            end = self._end(_Target(place, self._entered((), place.context.resource)))
            if end is not None:
                self._keys[member.schema.location] = self._define(end, direction)
        self._complete()

    def add_schemas(self, schemas: Iterable[Place]) -> None:
        """Add schemas for messages of both directions, and everything that they refer to."""
        directions = (Direction.ANY,) if self._is_plain else (Direction.REPLY, Direction.REQUEST)
        for place in schemas:
            end = self._end(_Target(place, self._entered((), place.context.resource)))
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

    def _external(self, target: _Target, direction: Direction) -> External | None:
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

    def _define(self, target: _Target, direction: Direction) -> _AnyKey:
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

    def _entered(self, scope: _Scope, resource: Resource) -> _Scope:
        """Return the dynamic scope inside a resource."""
        if self._is_plain or not (resource.dynamic or resource.is_recursive):
            return scope
        outermost = dict(scope)
        for name in resource.dynamic:
            outermost.setdefault(name, resource)
        if resource.is_recursive:
            outermost.setdefault(_RECURSIVE, resource)
        return tuple(sorted(outermost.items(), key=lambda item: item[0]))

    def _follow(self, ref: Ref, context: Context, scope: _Scope) -> _Target:
        """Take one step along a reference.

        Raises:
            ContractError: It leads to no schema.
        """
        place = self._resources.resolve(context, ref)
        resource = place.context.resource
        outermost = dict(scope)
        name = split(ref.uri)[1]
        if ref.keyword == "$dynamicRef" and name in resource.dynamic and name in outermost:
            resource = outermost[name]
            place = self._resources.place(resource.anchors[name])
        elif ref.keyword == "$recursiveRef" and resource.is_recursive and _RECURSIVE in outermost:
            resource = outermost[_RECURSIVE]
            place = self._resources.place(resource.root)
        return _Target(place, self._entered(scope, place.context.resource))

    def _end(self, target: _Target) -> _Target | None:
        """Return the end of a chain of schemas that are only a `$ref`, None if there is none.

        Each step is taken once for all chains.
        """
        passed: dict[tuple[Location, _Scope], Ref] = {}
        end: _Target | None = target
        while end is not None:
            step = (end.place.node.location, end.scope)
            if step in self._ends:
                end = self._ends[step]
                break
            ref = _only_ref(end.place)
            if ref is None:
                break
            if step in passed:
                for each in passed.values():
                    self._report_circle(each)
                end = None
                break
            passed[step] = ref
            try:
                end = self._follow(ref, end.place.context, end.scope)
            except ContractError as error:
                self._diagnostics.update(error.diagnostics)
                end = None
        self._ends.update(dict.fromkeys(passed, end))
        return end

    def _report_circle(self, ref: Ref) -> None:
        message = f"the {ref.keyword} {quoted(ref.uri)} leads to a circle of $refs"
        self._diagnostics.add(
            Diagnostic(ref.location, message, "write the schema out in one of them")
        )

    def _reference(self, ref: Ref, state: _State) -> _AnyKey | None:
        """Return the definition that a reference leads to, None if there is none."""
        try:
            target = self._follow(ref, state.context, state.scope)
        except ContractError as error:
            self._diagnostics.update(error.diagnostics)
            return None
        end = self._end(target)
        return None if end is None else self._define(end, state.direction)

    def _schema(self, node: Node, state: _State) -> JsonValue:
        """Return a schema of a definition in 2020-12."""
        if not isinstance(node.value, dict):
            return node.value is not False  # lint reports what is not a schema
        context = self._resources.place(node).context
        scope = self._entered(state.scope, context.resource)
        state = state._replace(context=context, scope=scope)
        tree = translated(node, context.dialect)
        if "discriminator" in tree:
            tree = with_discriminator(tree, self._resources, Place(node, context))
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


def _only_ref(place: Place) -> Ref | None:
    """Return the reference of a schema that is nothing else, None for other schemas."""
    schema = place.node.mapping
    dialect = place.context.dialect
    if not dialect.hides_siblings(schema) and not schema.keys() <= _NO_MEANING:
        return None
    if schema.keys().isdisjoint(_REFERRING):
        return None
    tree = translated(place.node, dialect)
    ref = tree.get("$ref")
    return ref if isinstance(ref, Ref) and "allOf" not in tree else None
