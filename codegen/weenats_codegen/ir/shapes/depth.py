"""Cuts references that are too deep for pydantic, which builds models by recursion."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from weenats_codegen.ir.shapes.grammar import (
    ANY,
    Schema,
    is_class,
    map_shapes,
    ref_name,
    references,
)

MAX_DEPTH: Final = 30
"""Far below what Python's stack allows, since the models may be imported by a deep stack."""

_Graph = Mapping[str, list[str]]


def cut_deep_references(shapes: dict[str, Schema], drop: Callable[[str], None]) -> None:
    """Replace references that pydantic could not follow by the type of any JSON value.

    Chains of classes are no problem: each class is built after those that it refers to. Circles of
    classes are, and so are chains of lists, maps and unions, which are a part of each other. A
    circle without a class has no end at all.

    Args:
        shapes: The definitions; changed in place.
        drop: Called with each definition that has lost a reference.
    """

    def cut(name: str, others: set[str]) -> None:
        if others & set(references(shapes[name])):
            shapes[name] = _without(shapes[name], others)
            drop(name)

    graph = {name: sorted(set(references(shape))) for name, shape in shapes.items()}
    depths: dict[str, int] = {}
    for circle in _circles(graph):
        length, too_far = _search(graph, circle)
        aliases = {name for name in circle if not is_class(shapes[name])}
        for name in sorted(circle):
            others = {other for other in graph[name] if depths.get(other, 0) >= MAX_DEPTH}
            cut(name, others | too_far)
        for name, other in list(_returns(graph, aliases)):
            cut(name, {other})
        outside = {other for name in circle for other in references(shapes[name])} - circle
        depth = max((depths[other] for other in outside), default=0) + min(length, MAX_DEPTH)
        for name in circle:
            depths[name] = depth if name in aliases else 0


def _circles(graph: _Graph) -> Iterator[set[str]]:
    """Yield the names that refer to one another, after those that they refer to (Kosaraju)."""
    callers: dict[str, list[str]] = {name: [] for name in graph}
    for name, others in graph.items():
        for other in others:
            callers[other].append(name)
    assigned: set[str] = set()
    for root in reversed(_postorder(callers)):
        circle: set[str] = set()
        pending = [root]
        while pending:
            name = pending.pop()
            if name not in assigned:
                assigned.add(name)
                circle.add(name)
                pending += graph[name]
        if circle:
            yield circle


def _postorder(graph: _Graph) -> list[str]:
    """Return the names in the order in which a depth-first search leaves them."""
    order: list[str] = []
    seen: set[str] = set()
    pending = [(name, False) for name in sorted(graph)]
    while pending:
        name, is_left = pending.pop()
        if is_left:
            order.append(name)
        elif name not in seen:
            seen.add(name)
            pending.append((name, True))
            pending += [(other, False) for other in graph[name]]
    return order


def _search(graph: _Graph, circle: set[str]) -> tuple[int, set[str]]:
    """Search a circle depth first.

    Returns:
        How many names were entered at once at most; the names where that was too many.
    """
    longest = 0
    too_far: set[str] = set()
    seen: set[str] = set()
    pending = [(min(circle), 1)]
    while pending:
        name, length = pending.pop()
        if name not in circle or name in seen:
            continue
        seen.add(name)
        if length > MAX_DEPTH:
            too_far.add(name)
            length = 1
        longest = max(longest, length)
        pending += [(other, length + 1) for other in graph[name]]
    return longest, too_far


def _returns(graph: _Graph, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield the references, among some names, that close a circle."""
    path: set[str] = set()
    left: set[str] = set()
    for start in sorted(names):
        pending = [(start, "")]
        while pending:
            name, caller = pending.pop()
            if not caller and name in path:
                path.remove(name)
                left.add(name)
            elif name in path:
                yield caller, name
            elif name not in left:
                path.add(name)
                pending.append((name, ""))
                pending += [(other, name) for other in graph[name] if other in names]


def _without(shape: Schema, names: set[str]) -> Schema:
    """Return a shape without its references to some definitions."""

    def cut(part: Schema) -> Schema:
        if ref_name(part) in names:
            return {**{key: part[key] for key in part if key != "$ref"}, **ANY}
        if "allOf" in part:  # a base class: its members become unknown members
            bases: list[Schema] = part["allOf"]
            return {**part, "allOf": [each for each in bases if ref_name(each) not in names]}
        return part

    return map_shapes(shape, cut)
