"""The JSON Schemas of the parts whose models do not enforce them: json_schemas.py."""

import json
from collections.abc import Sequence
from typing import Final

from weenats_codegen.ir.bundle import judge_text
from weenats_codegen.ir.contract import Contract
from weenats_codegen.ir.shapes import Reason
from weenats_codegen.render.literals import LINE_LENGTH

_NOQA: Final = "# ruff: noqa: E501 - a line for each schema, however long it is\n"
_SHOWN: Final = 3
_MAX_PLACE: Final = 200


def render_json_schemas(contract: Contract, header: str) -> str:
    """Return the source of the module, not formatted yet.

    Args:
        contract: A contract with such schemas.
        header: The first line, a comment.
    """
    reasons = {name: _places(contract.shapes.reasons[name]) for name in contract.judged}
    listed = "\n".join(f"        {name!a}: [{', '.join(each)}]," for name, each in reasons.items())
    items = [f"            {place}," for each in reasons.values() for place in each]
    definitions = json.loads(judge_text(contract.bundle, contract.judged))["$defs"]
    lines = [
        f"{json.dumps(name)}:{json.dumps(schema, separators=(',', ':'))}"
        for name, schema in definitions.items()
    ]
    pieces = ['{"$defs":{', *(f"{line}," for line in lines[:-1]), lines[-1], "}}"]
    rows = [f"    {piece!r}" for piece in pieces]
    text = "\n".join(rows)
    # Lines without a space are never too long.
    is_long = any(len(row) > LINE_LENGTH and " " in row.strip() for row in [*rows, *items])
    noqa = _NOQA if is_long else ""
    return (
        f"{header}\n{noqa}"
        f'"""The JSON Schemas of {contract.service} that models do not enforce alone."""\n\n'
        "from typing import Final\n\nfrom weenats.schema import JsonSchemas\n\n"
        f"JSON_SCHEMAS: Final = JsonSchemas(\n{text},\n    reasons={{\n{listed}\n    }},\n)\n"
    )


def _places(reasons: Sequence[Reason]) -> list[str]:
    """Return the first places for which a schema is here, as source."""
    places = [f"{reason.definition}#{reason.pointer}"[:_MAX_PLACE] for reason in reasons[:_SHOWN]]
    more = ["..."] if len(reasons) > _SHOWN else []
    return [*map(ascii, places + more)]
