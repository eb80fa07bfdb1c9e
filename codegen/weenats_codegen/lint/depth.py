"""How deep schemas refer to one another: pydantic builds their models by recursion."""

from collections.abc import Iterator, Mapping
from typing import Final

from weenats_codegen.ir.bundler import Bundler
from weenats_codegen.ir.schemas import is_object, map_schemas
from weenats_codegen.parser.diagnostics import Diagnostic
from weenats_codegen.parser.walk import Schema

_MAX_DEPTH: Final = 30
"""Far below what Python's stack allows, since the models may be imported by a deep stack."""

_Graph = Mapping[str, list[str]]


def check_depth(bundle: Bundler) -> Iterator[Diagnostic]:
    """Yield schemas that refer to one another too deeply to be built.

    Chains of objects do not count: each object is built after those that it refers to. Circles of
    objects do, and so do chains of lists, maps and unions, which are a part of each other.
    """
    graph = {name: sorted(_references(schema)) for name, schema in bundle.definitions.items()}
    depths: dict[str, int] = {}
    for circle in _circles(graph):
        below = max((depths.get(other, 0) for name in circle for other in graph[name]), default=0)
        depth = _length(graph, circle) + below
        if depth > _MAX_DEPTH >= below:
            message = f"refers to more than {_MAX_DEPTH} schemas, each through the one before"
            remedy = "make the chain or the circle of schemas shorter"
            yield Diagnostic(bundle.locations[min(circle)], message, remedy)
        for name in circle:
            depths[name] = 0 if is_object(bundle.definitions[name]) else depth


def _references(schema: Schema) -> set[str]:
    """Return the definitions that a schema refers to."""
    found: set[str] = set()

    def find(part: Schema) -> Schema:
        ref = part.get("$ref")
        if isinstance(ref, str):
            found.add(ref.removeprefix("#/$defs/"))
        return part

    map_schemas(schema, find)
    return found


def _circles(graph: _Graph) -> Iterator[set[str]]:
    """Yield the names that refer to one another, after those that they refer to (Kosaraju)."""
    callers: dict[str, list[str]] = {name: [] for name in graph}
    for name, others in graph.items():
        for other in others:
            callers.setdefault(other, []).append(name)
    assigned: set[str] = set()
    for root in reversed(_postorder(callers)):
        circle: set[str] = set()
        pending = [root]
        while pending:
            name = pending.pop()
            if name not in assigned and name in graph:
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


def _length(graph: _Graph, circle: set[str]) -> int:
    """Return how many names a depth-first search of a circle has entered at most at once."""
    longest = 0
    seen: set[str] = set()
    pending = [(min(circle), 1)]
    while pending:
        name, length = pending.pop()
        if name in circle and name not in seen:
            seen.add(name)
            longest = max(longest, length)
            pending += [(other, length + 1) for other in graph[name]]
    return longest
