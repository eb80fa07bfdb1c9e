"""Python expressions of payloads and keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.samples.expressions import Expression, Expressions


def contract(folder: Path, key: Any, payload: Any) -> Contract:
    """Return a contract whose aggregate has a key and a command with a payload."""
    box = {
        "description": "A box.",
        "state": {"type": "object"},
        "commands": {"fill": {"description": "Fill it.", "payload": payload}},
        **({} if key is None else {"key": key}),
    }
    service = {"service": "shop", "version": "1.0.0", "description": "Sells."}
    (folder / "service.json").write_text(json.dumps({**service, "aggregates": {"box": box}}))
    return read(folder)


@pytest.mark.parametrize(
    ("payload", "source"),
    [
        (
            {"type": "object", "properties": {"itemName": {"type": "string", "maxLength": 9}}},
            "Fill(item_name='itemName')",
        ),
        (
            {"type": "object", "properties": {"at": {"type": "string", "format": "date"}}},
            'Fill.model_validate_json(\'{"at": "2026-03-01"}\')',
        ),
        (
            {"type": "object", "properties": {"a": True}, "examples": [{"other": 1}]},
            "Fill.model_validate_json('{\"other\": 1}')",
        ),
        ({"type": "integer"}, "1"),
        ({"type": "string", "format": "uuid"}, None),
        ({"type": "array", "items": {"type": "integer"}}, None),
        ({"type": "string", "pattern": "^(.)\\1$"}, None),
    ],
)
def test_payload(payload: Any, source: str | None, tmp_path: Path) -> None:
    """A payload of plain members is constructed, another object comes from JSON."""
    made = contract(tmp_path, None, payload)
    found = Expressions(made).payload(made.commands[0].payload)
    assert (None if found is None else found.source) == source
    assert found is None or found.models == (("Fill",) if source and "Fill" in source else ())


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (None, Expression("'b-1'")),
        ({"type": "string", "maxLength": 9}, Expression("'text'")),
        (
            {"type": "string", "format": "uuid"},
            Expression(
                "UUID('4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57')", standard="from uuid import UUID"
            ),
        ),
        (
            {"type": "string", "format": "date"},
            Expression("date.fromisoformat('2026-03-01')", standard="from datetime import date"),
        ),
        ({"type": "string", "pattern": "^(.)\\1$"}, None),
        ({"type": "string", "format": "uuid", "maxLength": 3}, None),
    ],
)
def test_key(key: Any, expected: Expression | None, tmp_path: Path) -> None:
    """A key is a text, or an object of the type that its format has."""
    made = contract(tmp_path, key, {"type": "integer"})
    assert Expressions(made).key(made.aggregates[0]) == expected
