"""JSON as other languages write it, and the JSON Schemas of the wire protocol."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from testkit.paths import SCHEMAS

if TYPE_CHECKING:
    from collections.abc import Iterator

NESTED: Final = b"[" + b",".join([b"[" * 90 + b"]" * 90] * 500) + b"]"
"""JSON text that would become 45,000 lists."""
METADATA: Final = {
    "messageId": "01JD8Q3X7B9Z6M0N4R5S8T2VWY",
    "timestamp": "2026-03-01T09:30:00.125Z",
}


def request(**members: Any) -> dict[str, Any]:
    """Return a request of the probe; `members` replace its members, None removes one."""
    body = {"aggregateId": {"type": "thing", "key": "k-1"}, "command": {"action": "go"}, **members}
    return {name: value for name, value in body.items() if value is not None}


def dump(value: Any) -> bytes:
    """Write JSON, and what only looks like JSON: NaN and infinities."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def load_strict(data: bytes) -> Any:
    """Read JSON as other languages do: no NaN, no infinities, no duplicate names."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), f"duplicate names: {names}"
        return dict(pairs)

    def no_number(text: str) -> Any:
        raise AssertionError(f"{text} is not valid JSON")

    return json.loads(data.decode(), object_pairs_hook=once, parse_constant=no_number)


@cache
def _validator(name: str) -> Draft202012Validator:
    resources = [
        (path.name, Resource.from_contents(json.loads(path.read_text())))
        for path in (SCHEMAS / "messages").glob("*.schema.json")
    ]
    return Draft202012Validator(
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": f"{name}.schema.json"},
        registry=Registry().with_resources(resources),
    )


def assert_valid(name: str, value: Any) -> None:
    """Check a message against schemas/messages/{name}.schema.json; it must not hold null."""
    _validator(name).validate(value)
    assert "null" not in json.dumps(value)


def load_valid(name: str, data: bytes) -> Any:
    """Read a message that is valid under schemas/messages/{name}.schema.json, or fail."""
    value = load_strict(data)
    _validator(name).validate(value)
    return value


@contextmanager
def no_objects() -> Iterator[None]:
    """Assert that the block does not create tens of thousands of objects."""
    before = gc.get_stats()[0]["collections"]
    yield
    assert gc.get_stats()[0]["collections"] <= before + 5  # of 45,000 lists, it were 60
