"""What it takes to check one value: schemas that are referred to twice on each level double it."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from pydantic import JsonValue

from weenats_codegen.ir.bundle import PREFIX, Bundle
from weenats_codegen.parser.diagnostics import Diagnostic

_MAX_STEPS: Final = 100_000
_ONE: Final = ("not", "if", "then", "else")
_MANY: Final = ("allOf", "anyOf", "oneOf")


def check_cost(bundle: Bundle) -> Iterator[Diagnostic]:
    """Yield the definition that is the first to apply too many schemas to one value."""
    steps: dict[str, int] = {}
    for name in bundle.definitions:
        _count(name, bundle.definitions, steps)
    costly = {name: count for name, count in steps.items() if count > _MAX_STEPS}
    first = min(costly, key=lambda name: (costly[name], name), default="")
    if first in bundle.locations:
        message = f"applies more than {_MAX_STEPS:,} schemas to one value"
        remedy = "refer to each schema once, instead of in several branches on each level"
        yield Diagnostic(bundle.locations[first], message, remedy)


def _count(name: str, definitions: dict[str, JsonValue], steps: dict[str, int]) -> None:
    """Count how many schemas a definition applies, and those that it refers to before it."""
    stack = [name]
    open_: dict[str, tuple[int, Counter[str]]] = {}
    while stack:
        current = stack[-1]
        if current in steps:
            stack.pop()
        elif current in open_:
            own, refs = open_[current]
            # A circle, which is an error of its own, counts once.
            steps[current] = own + sum(steps.get(ref, 1) * times for ref, times in refs.items())
            stack.pop()
        else:
            open_[current] = _parts(definitions.get(current))
            stack += (ref for ref in open_[current][1] if ref not in open_)


def _parts(schema: JsonValue) -> tuple[int, Counter[str]]:
    """Return how many schemas are applied to the same value, and the definitions among them."""
    count = 0
    refs: Counter[str] = Counter()
    pending = [schema]
    while pending:
        part = pending.pop()
        count += 1
        if not isinstance(part, dict):
            continue
        ref = part.get("$ref")
        if isinstance(ref, str):
            refs[ref.removeprefix(PREFIX)] += 1
        pending += (part[keyword] for keyword in _ONE if keyword in part)
        for keyword in _MANY:
            branches = part.get(keyword)
            pending += branches if isinstance(branches, list) else ()
        dependent = part.get("dependentSchemas")
        pending += dependent.values() if isinstance(dependent, dict) else ()
    return count, refs
