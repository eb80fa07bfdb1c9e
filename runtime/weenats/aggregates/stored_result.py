"""Results of commands as they are stored."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any

from weenats.aggregates.errors import BrokenHistoryError
from weenats.codec.parts import Decoder
from weenats.codec.violations import reason
from weenats.schema.part import declared_type

if TYPE_CHECKING:
    from weenats.contract import AnyOperation

__all__ = ["decode_result"]


def decode_result(command: AnyOperation, data: bytes | None) -> Any:  # noqa: ANN401 - of the contract
    """Return a stored result; None if the command has none.

    Args:
        command: the command.
        data: JSON text.

    Raises:
        BrokenHistoryError: it is not what the contract declares.
    """
    if command.result is NoneType:
        return None
    try:
        return _decoder(command).decode(b"" if data is None else data)
    except ValueError as error:
        why = reason(error)
    raise BrokenHistoryError(f"a stored result of {command.name} is not valid: {why}")


@cache
def _decoder(command: AnyOperation) -> Decoder:
    return Decoder(declared_type(command.result), command.result)
