"""The contract as one document, which the service answers with: contract_document.py."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from weenats_codegen.ir.contract import Contract
from weenats_codegen.render.literals import LINE_LENGTH

_NOQA: Final = "# ruff: noqa: E501 - a line for each part, however long it is\n"
_DIVIDED: Final = frozenset({"aggregates", "commands", "queries", "events", "errors", "$defs"})
"""The members of the document whose members have lines of their own, so that changes show."""


def render_contract_document(contract: Contract, header: str) -> str:
    """Return the source of the module, not formatted yet.

    Args:
        contract: The contract.
        header: The first line, a comment.
    """
    rows = [f"    {line!r}" for line in _owner(json.loads(contract.document))]
    # Lines without a space are never too long.
    is_long = any(len(row) > LINE_LENGTH and " " in row.strip() for row in rows)
    text = "\n".join(rows)
    return (
        f"{header}\n{_NOQA if is_long else ''}"
        f'"""The contract of {contract.service} as one document, with all its schemas."""\n\n'
        f"from typing import Final\n\nDOCUMENT: Final = (\n{text}\n)\n"
    )


def _owner(document: Mapping[str, Any]) -> list[str]:
    """Return the lines of the document, or of an aggregate in it."""
    return _object(
        {
            key: _object(
                {
                    name: _owner(each) if key == "aggregates" else [_text(each)]
                    for name, each in value.items()
                }
            )
            if key in _DIVIDED
            else [_text(value)]
            for key, value in document.items()
        }
    )


def _object(members: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the lines of an object, given those of its members."""
    lines = ["{"]
    for name, (first, *rest) in members.items():
        lines += [f"{_text(name)}:{first}", *rest]
        lines[-1] += ","
    return [*lines[:-1], f"{lines[-1].removesuffix(',')}}}"]


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)
