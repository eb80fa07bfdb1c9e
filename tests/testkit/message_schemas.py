"""Replies held against the JSON Schemas of the wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

SCHEMAS = Path(__file__).parents[2] / "schemas" / "messages"


def check(name: str, reply: dict[str, Any]) -> None:
    """Hold a reply against its JSON Schema, with nothing null in it."""
    resources = [
        (path.name, Resource.from_contents(json.loads(path.read_text())))
        for path in SCHEMAS.glob("*.schema.json")
    ]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": name}
    registry: Registry[Any] = Registry().with_resources(resources)
    Draft202012Validator(schema, registry=registry).validate(reply)
    assert "null" not in json.dumps(reply)
