"""Generated services whose operations have given schemas."""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from weenats.codec.operations import ContractBreachError, OperationCodec
from weenats.codec.validators import STRICT
from weenats.context import RequestContext
from weenats.errors import InternalError, InvalidArgumentError
from weenats.schema.part import declared_type, judge_of
from weenats_codegen.generate import generate

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Json = Any
_NUMBERS: Final = count()
_METADATA: Final = (
    b'{"messageId":"01ARZ3NDEKTSV4RRFFQ69G5FAV","correlationId":"01ARZ3NDEKTSV4RRFFQ69G5FAV",'
    b'"timestamp":"2026-01-01T00:00:00.000Z"}'
)


def write_contract(schemas: Sequence[Json], folder: Path) -> str:
    """Write a contract with one command for each schema, which is its payload and its result.

    Args:
        schemas: the schemas.
        folder: an empty folder.

    Returns:
        The name of the package that will be generated.
    """
    name = f"exactness-{next(_NUMBERS)}"
    for number, schema in enumerate(schemas):
        (folder / f"schema{number}.json").write_text(json.dumps(schema), encoding="utf-8")
    contract = {
        "service": name,
        "version": "1.0.0",
        "description": "Takes and returns values of many schemas.",
        "commands": {
            f"command{number}": {
                "description": "Take a value and return it.",
                "payload": {"$ref": f"schema{number}.json"},
                "result": {"$ref": f"schema{number}.json"},
            }
            for number in range(len(schemas))
        },
    }
    (folder / "service.yaml").write_text(json.dumps(contract), encoding="utf-8")
    return name.replace("-", "_")


def generated_codecs(schemas: Sequence[Json], folder: Path) -> list[Codec]:
    """Generate a package for schemas, import it, and return the codec of each schema's operation.

    Args:
        schemas: the schemas.
        folder: an empty folder for the contract and the package.

    Raises:
        ContractError: the contract is refused.
    """
    contract, out = folder / "contract", folder / "out"
    contract.mkdir(parents=True)
    package = write_contract(schemas, contract)
    generate([contract], out)
    sys.path.insert(0, str(out))
    try:
        operations = importlib.import_module(f"{package}.operations")
    finally:
        sys.path.remove(str(out))
    return [Codec(getattr(operations, f"COMMAND{number}")) for number in range(len(schemas))]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came of decoding a document.

    Attributes:
        is_valid: whether it was taken; None if the codec raised what it must not raise.
        value: the Python value if it was.
        why: the text of the error if it was not.
    """

    is_valid: bool | None
    value: object = None
    why: str = ""


class Codec:
    """The codec of a generated operation, as service and client use it.

    Args:
        operation: the descriptor of the operation.
    """

    def __init__(self, operation: Any) -> None:
        self._operation = operation
        self._codec = OperationCodec(operation)
        kind = declared_type(operation.payload)
        try:
            self._type: TypeAdapter[Any] = TypeAdapter(kind, config=STRICT)
        except Exception:  # noqa: BLE001 - models have their own configuration
            self._type = TypeAdapter(kind)

    @property
    def is_judged(self) -> bool:
        """Whether a JSON Schema judges values, since the model alone is not exact."""
        return judge_of(self._operation.payload) is not None

    def request(self, text: bytes, *, in_order: bool = True) -> Decoded:
        """Decode a payload as a service does.

        Args:
            text: the payload as JSON.
            in_order: whether the members of the request have the order in which clients write them.
        """
        aggregate = b'"aggregateId":{"type":"thing","key":"k"}'
        members = [aggregate, b'"command":' + text, b'"metadata":' + _METADATA]
        data = b"{" + b",".join(members if in_order else reversed(members)) + b"}"
        try:
            return Decoded(is_valid=True, value=self._codec.decode_request(data).read_payload())
        except InvalidArgumentError as error:
            return Decoded(is_valid=False, why=f"{error} {error.details}")
        except Exception as error:  # noqa: BLE001 - a bug, which the comparison reports
            return Decoded(is_valid=None, why=repr(error))

    def reply(self, text: bytes) -> Decoded:
        """Decode a result as a client does.

        Args:
            text: the result as JSON.
        """
        data = b'{"success":true,"result":%b,"duration":1.000,"metadata":%b}' % (text, _METADATA)
        try:
            return Decoded(is_valid=True, value=self._codec.decode_response(data).result)
        except InternalError as error:
            return Decoded(is_valid=False, why=f"{error} {error.details}")
        except Exception as error:  # noqa: BLE001 - a bug, which the comparison reports
            return Decoded(is_valid=None, why=repr(error))

    def encoded_request(self, value: object) -> Json:
        """Return the payload that a client sends for a value.

        Raises:
            InvalidArgumentError: the value is not valid.
        """
        context = RequestContext("client", self._operation, "k", value, "m", "c")
        return json.loads(self._codec.encode_request(context))["command"]

    def encoded_reply(self, value: object) -> Json:
        """Return the result that a service sends for a value.

        Raises:
            ContractBreachError: the value is not valid.
        """
        context = RequestContext("server", self._operation, "k", None, "m", "c")
        return json.loads(self._codec.encode_success(value, 1.0, context))["result"]

    def sent(self, value: object) -> list[Json]:
        """Return what client and service send for a value, nothing of those that refuse to."""
        found: list[Json] = []
        for encoded in (self.encoded_request, self.encoded_reply):
            with suppress(InvalidArgumentError, ContractBreachError):
                found.append(encoded(value))
        return found

    def unjudged(self, text: bytes) -> Decoded:
        """Return the value that the Python type alone makes of a document."""
        try:
            return Decoded(
                is_valid=True, value=self._type.validate_json(text, by_alias=True, by_name=False)
            )
        except (ValidationError, ValueError):
            return Decoded(is_valid=False)
