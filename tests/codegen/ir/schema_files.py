"""Schemas in files -> their bundle, and verdicts about values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from weenats_codegen.ir.bundle import judge_text
from weenats_codegen.ir.bundler import Direction, bundle_members
from weenats_codegen.ir.contract_schemas import Member
from weenats_codegen.parser.reader import Reader
from weenats_codegen.parser.resources import Resources

if TYPE_CHECKING:
    from pathlib import Path

    from weenats_codegen.ir.bundle import Bundle


def bundle(
    folder: Path, schema: object, direction: Direction = Direction.ANY, **files: object
) -> Bundle:
    """Bundle the schema of `root.json`, a member named Root, with other files beside it."""
    for name, content in {"root": schema, **files}.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return bundle_files(folder, {"root.json": direction})


def bundle_files(folder: Path, members: dict[str, Direction]) -> Bundle:
    """Bundle some files of a folder, each a member with the name of its file."""
    resources = Resources(Reader(folder))
    found: list[Member] = []
    for file, direction in members.items():
        place = resources.add_file(file)
        assert place is not None, resources.diagnostics
        found.append(Member(place.node, file.removesuffix(".json"), direction))
    made = bundle_members(resources, found)
    assert resources.diagnostics == []
    return made


def validator(made: Bundle, name: str = "Root") -> jsonschema_rs.Validator:
    """Return a validator of a definition, made of the text that services judge by."""
    schema: dict[str, Any] = {"$ref": f"#/$defs/{name}", **json.loads(judge_text(made, [name]))}
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, offline=True)
