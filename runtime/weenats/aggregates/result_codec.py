"""Payloads and results of commands as they are stored."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from weenats.aggregates.errors import BrokenHistoryError
from weenats.codec.operations import ContractBreachError
from weenats.codec.parts import Decoder, Encoder
from weenats.codec.violations import SchemaError, reason
from weenats.schema.part import declared_type

if TYPE_CHECKING:
    from weenats.contract import AnyOperation

__all__ = ["ResultCodec", "result_codec"]


class ResultCodec:
    """Encodes and decodes the payloads and results of one command.

    Args:
        command: the command.
    """

    def __init__(self, command: AnyOperation) -> None:
        self._command = command
        self.encode_payload = Encoder(command.payload, is_checked=False).write
        self._has_result = command.result is not NoneType
        self._encode = Encoder(command.result).write
        self._decode = Decoder(declared_type(command.result), command.result).decode

    def encode_result(self, result: object) -> bytes | None:
        """Return a result as JSON text; None if the command has none.

        Args:
            result: what the handler decided to reply.

        Raises:
            ContractBreachError: it is not what the contract declares.
        """
        if not self._has_result:
            if result is not None:
                raise ContractBreachError(self._command, result)
            return None
        try:
            return self._encode(result)
        except TypeError:
            why = ""
        except ValueError as error:
            why = reason(error)
        raise ContractBreachError(self._command, result, why)

    def decode_result(self, data: bytes | None) -> Any:  # noqa: ANN401 - of the contract
        """Return a stored result; None if the command has none.

        Args:
            data: JSON text.

        Raises:
            BrokenHistoryError: it is not what the contract declares.
        """
        if not self._has_result:
            return None
        try:
            return self._decode(b"" if data is None else data)
        except (SchemaError, ValidationError, ValueError) as error:
            why = reason(error)
        raise BrokenHistoryError(f"a stored result of {self._command.name} is not valid: {why}")


@cache
def result_codec(command: AnyOperation) -> ResultCodec:
    """Return the codec of a command, which is created once.

    Args:
        command: the command.
    """
    return ResultCodec(command)
