"""The keys of aggregates: strings on the wire, values of the type that the contract declares."""

import json
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from weenats.codec.parts import Decoder, Encoder
from weenats.codec.violations import SchemaError, invalid, reason, violations_of
from weenats.contract import Aggregate
from weenats.errors import InvalidArgumentError
from weenats.schema.part import declared_type, type_name

__all__ = ["KeyCodec", "key_codec"]


class KeyCodec:
    """Converts the keys of an aggregate.

    Args:
        aggregate: the aggregate; None for the service itself, which has no keys.

    Attributes:
        is_plain: whether every key is a text that the contract does not describe further.
    """

    def __init__(self, aggregate: Aggregate[Any] | None) -> None:
        self.is_plain = aggregate is None or aggregate.key is str
        self._aggregate = aggregate
        if aggregate is not None and not self.is_plain:
            self._name = f"the key of {aggregate.name}"
            self._decoder = Decoder(declared_type(aggregate.key), aggregate.key)
            self._encoder = Encoder(aggregate.key)

    def write(self, key: object) -> str:
        """Return a key as on the wire; "" for what has none.

        Args:
            key: a key of the declared type; None for what has none.

        Raises:
            InvalidArgumentError: it is not a key of the aggregate.
        """
        if self._aggregate is None:
            if key is None:
                return ""
            text = "operations and events of the service itself have no key"
        elif self.is_plain:
            if isinstance(key, str):
                return key
            text = f"the key of {self._aggregate.name} is a str, not {type(key).__name__}"
        else:
            try:
                written: object = json.loads(self._encoder.encode(key))
            except SchemaError as error:
                raise invalid(f"{self._name} breaks the contract", error.found) from None
            except (TypeError, ValueError) as error:
                why = reason(error) if isinstance(error, ValueError) else type(key).__name__
                text = f"{self._name} must be {type_name(self._aggregate.key)}: {why}"
            else:
                if isinstance(written, str):
                    return written
                text = f"{self._name} must be a string in JSON"
        raise InvalidArgumentError(text)

    def read(self, text: str, member: str = "aggregateId") -> Any:
        """Return the key that a text on the wire stands for.

        Args:
            text: the key of the envelope; "" for what has none.
            member: the member of the envelope with the key, for the error.

        Raises:
            InvalidArgumentError: the contract does not allow it.
        """
        if self.is_plain:
            return text
        try:
            return self._decoder.decode(to_json(text))
        except (SchemaError, ValidationError) as error:
            found = [each._replace(path=(member, "key")) for each in violations_of(error)]
        raise invalid(f"{self._name} breaks the contract", found)


@cache
def key_codec(aggregate: Aggregate[Any] | None) -> KeyCodec:
    """Return the codec of the keys of an aggregate, which is created once.

    Args:
        aggregate: the aggregate; None for the service itself.
    """
    return KeyCodec(aggregate)
