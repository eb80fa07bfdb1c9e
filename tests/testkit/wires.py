"""JSON as a foreign peer writes it, and the schemas of the wire as it reads them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

_SCHEMAS = Path(__file__).parents[2] / "schemas" / "messages"
METADATA = {"messageId": "01JD8Q3X7B9Z6M0N4R5S8T2VWY", "timestamp": "2026-03-01T09:30:00.125Z"}


def request(**members: Any) -> dict[str, Any]:
    """Return a request of the probe; a test changes members, None leaves one out."""
    body = {"aggregateId": {"type": "thing", "key": "k-1"}, "command": {"action": "go"}, **members}
    return {name: value for name, value in body.items() if value is not None}


def raw(value: Any) -> bytes:
    """Write JSON, and what only looks like it: NaN, infinities."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def strictly(data: bytes) -> Any:
    """Read JSON as another language does: no NaN, no infinities, no name twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"a member stands twice: {names}"
        return dict(pairs)

    def no_number(text: str) -> Any:
        raise AssertionError(f"{text} is no JSON")

    return json.loads(data.decode(), object_pairs_hook=once, parse_constant=no_number)


@cache
def schema(name: str) -> Draft202012Validator:
    """Return what validates against schemas/messages/{name}.schema.json."""
    resources = [
        (path.name, Resource.from_contents(json.loads(path.read_text())))
        for path in _SCHEMAS.glob("*.schema.json")
    ]
    return Draft202012Validator(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"{name}.schema.json"},
        registry=Registry().with_resources(resources),
    )


def conforming(name: str, data: bytes) -> Any:
    """Read a message that keeps to a schema of the wire, or fail."""
    value = strictly(data)
    schema(name).validate(value)
    return value
