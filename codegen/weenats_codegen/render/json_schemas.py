"""The JSON Schemas of the parts whose models do not enforce them: json_schemas.py."""

import json

from weenats_codegen.ir.bundle import judge_text
from weenats_codegen.ir.contract import Contract

_NOQA = "# ruff: noqa: E501 - a line for each schema, however long it is"


def render_json_schemas(contract: Contract, header: str) -> str:
    """Return the source of the module, not formatted yet.

    Args:
        contract: A contract with such schemas.
        header: The first line, a comment.
    """
    definitions = json.loads(judge_text(contract.bundle, contract.judged))["$defs"]
    lines = [
        f"{json.dumps(name)}:{json.dumps(schema, separators=(',', ':'))}"
        for name, schema in definitions.items()
    ]
    pieces = ['{"$defs":{', *(f"{line}," for line in lines[:-1]), lines[-1], "}}"]
    text = "\n".join(f"    {piece!r}" for piece in pieces)
    return (
        f"{header}\n{_NOQA}\n"
        f'"""The JSON Schemas of {contract.service} that models do not enforce alone."""\n\n'
        "from typing import Final\n\nfrom weenats.schema import JsonSchemas\n\n"
        f"JSON_SCHEMAS: Final = JsonSchemas(\n{text}\n)\n"
    )
