"""JSON, read by the standard library; duplicate keys and numbers are kept as written."""

import json
from typing import Final, cast

from weenats_codegen.parser.syntax.builder import TOO_DEEP, Builder, Parsed

_CONSTANTS: Final = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}


class _Pairs(list[tuple[str, object]]):
    """The members of a JSON object as written, duplicates included."""


class _Number(str):
    """A JSON number as written."""

    __slots__ = ()


def parse_json(text: str, file: str = "") -> Parsed:
    """Parse JSON.

    Args:
        text: The text.
        file: The name of the file, for diagnostics.

    Raises:
        ContractError: The text is not valid JSON, or is nested too deeply.
    """
    builder = Builder(file)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=lambda name: _Number(_CONSTANTS[name]),
        )
    except RecursionError:
        raise builder.error(*TOO_DEEP) from None
    except ValueError as error:
        raise builder.error(f"is not valid JSON ({error})", "fix its syntax") from None
    _report(value, builder)
    return builder.parsed


def _report(value: object, builder: Builder) -> None:
    if isinstance(value, _Pairs):
        builder.open({})
        for key, member in value:
            builder.scalar(key, plain=False)
            _report(member, builder)
        builder.close()
    elif isinstance(value, list):
        builder.open([])
        for item in cast("list[object]", value):
            _report(item, builder)
        builder.close()
    elif isinstance(value, str):
        builder.scalar(str(value), plain=isinstance(value, _Number))
    else:
        builder.scalar(json.dumps(value), plain=True)
