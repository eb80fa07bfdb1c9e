"""Where references lead: through chains of `$ref`, and by the dynamic scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from weenats_codegen.parser.diagnostics import ContractError, Diagnostic, quoted
from weenats_codegen.parser.dialects import Ref, translated
from weenats_codegen.parser.refs import split

if TYPE_CHECKING:
    from weenats_codegen.parser.diagnostics import Location
    from weenats_codegen.parser.resources import Context, Place, Resource, Resources

RECURSIVE: Final = "#"
"""The name of `$recursiveAnchor` among those of dynamic anchors, none of which has this one."""
_REFERRING: Final = frozenset({"$ref", "$dynamicRef", "$recursiveRef", "allOf"})
"""Keywords without which a schema is not a reference."""
_NO_MEANING: Final = _REFERRING | frozenset({
    "$schema", "$id", "$anchor", "$dynamicAnchor", "$recursiveAnchor", "$comment", "$defs",
    "definitions", "$vocabulary", "title", "description", "examples", "deprecated",
})  # fmt: skip
"""Keywords that make nothing else of a `$ref`."""

Scope = tuple[tuple[str, "Resource"], ...]
"""The outermost resource of the dynamic scope that has each dynamic anchor, by its name."""


class Target(NamedTuple):
    """A schema that a reference leads to, and the dynamic scope there."""

    place: Place
    scope: Scope


class References:
    """Follows references.

    Args:
        resources: The files that the schemas are in.
        is_plain: Whether dynamic scopes make no difference.
        diagnostics: Gets what is wrong with references.
    """

    def __init__(
        self, resources: Resources, diagnostics: set[Diagnostic], *, is_plain: bool
    ) -> None:
        self._resources: Final = resources
        self._is_plain: Final = is_plain
        self._diagnostics: Final = diagnostics
        self._ends: Final[dict[tuple[Location, Scope], Target | None]] = {}

    def entered(self, scope: Scope, resource: Resource) -> Scope:
        """Return the dynamic scope inside a resource."""
        if self._is_plain or not (resource.dynamic or resource.is_recursive):
            return scope
        outermost = dict(scope)
        for name in resource.dynamic:
            outermost.setdefault(name, resource)
        if resource.is_recursive:
            outermost.setdefault(RECURSIVE, resource)
        return tuple(sorted(outermost.items(), key=lambda item: item[0]))

    def end_of(self, place: Place) -> Target | None:
        """Return the end of the chain that begins with a schema of a message."""
        return self.end(Target(place, self.entered((), place.context.resource)))

    def follow(self, ref: Ref, context: Context, scope: Scope) -> Target:
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
        elif ref.keyword == "$recursiveRef" and resource.is_recursive and RECURSIVE in outermost:
            resource = outermost[RECURSIVE]
            place = self._resources.place(resource.root)
        return Target(place, self.entered(scope, place.context.resource))

    def end(self, target: Target) -> Target | None:
        """Return the end of a chain of schemas that are only a `$ref`, None if there is none.

        Each step is taken once for all chains.
        """
        passed: dict[tuple[Location, Scope], Ref] = {}
        end: Target | None = target
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
                end = self.follow(ref, end.place.context, end.scope)
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
