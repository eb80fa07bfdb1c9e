"""The keys of aggregates: strings on the wire, values of the type that the contract declares."""

import json
import re
from functools import cache
from typing import Annotated, Any, Final, Literal

from pydantic_core import to_json

from weenats.codec.parts import Decoder, Encoder
from weenats.codec.validators import quiet_validator, typed_dict
from weenats.codec.violations import SchemaError, invalid, reason
from weenats.contract import Aggregate
from weenats.errors import InvalidArgumentError
from weenats.protocol import messages
from weenats.schema.part import declared_type, type_name

__all__ = ["KEY", "PLAIN", "KeyCodec", "aggregate_type", "key_codec"]

KEY: Final = quiet_validator(Annotated[str, *messages.AggregateId.model_fields["key"].metadata])
"""Returns a key, None for what cannot be the key of an aggregate."""
PLAIN: Final = re.compile(r"[ !#-\[\]-~]{1,256}").fullmatch
"""Matches most keys: those that are valid and that JSON has as they are."""


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
        if aggregate is not None:
            self._name = f"the key of {aggregate.name}"
        if aggregate is not None and not self.is_plain:
            self._type = type_name(aggregate.key)
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
            failure = InvalidArgumentError("what belongs to the service itself has no key")
        elif self.is_plain:
            if isinstance(key, str):
                return key
            failure = InvalidArgumentError(f"{self._name} is a str, not {type(key).__name__}")
        else:
            try:
                written: object = json.loads(self._encoder.encode(key))
            except SchemaError as error:
                failure = invalid(f"{self._name} breaks the contract", error.found)
            except ValueError as error:
                text = f"{self._name} is not a valid {self._type}: {reason(error)}"
                failure = InvalidArgumentError(text)
            else:
                if isinstance(written, str):
                    return written
                failure = InvalidArgumentError(f"{self._name} is not a string in JSON")
        raise failure

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
            key = self._decoder.decode(to_json(text))
        except SchemaError as error:
            found = [each._replace(path=()).inside(member, "key") for each in error.found]
        else:
            return key
        raise invalid(f"{self._name} breaks the contract", found)


def aggregate_type(aggregate: Aggregate[Any] | None) -> Any:
    """Return the type of an aggregate's identity in an envelope; None if there is none.

    Args:
        aggregate: the aggregate; None for the service itself.
    """
    if aggregate is None:
        return None
    return typed_dict(messages.AggregateId, type=Literal[aggregate.name])


@cache
def key_codec(aggregate: Aggregate[Any] | None) -> KeyCodec:
    """Return the codec of the keys of an aggregate, which is created once.

    Args:
        aggregate: the aggregate; None for the service itself.
    """
    return KeyCodec(aggregate)
