"""Encoding and decoding of events.

As in `operations`, errors are raised outside of `except`.
"""

from functools import cache
from typing import Any, Final, Literal

from pydantic import ValidationError

from weenats.codec.json import quoted
from weenats.codec.keys import KEY, aggregate_type, key_codec
from weenats.codec.metadata import message_metadata
from weenats.codec.parts import Decoder, Encoder
from weenats.codec.upcasting import UpcastError, upcast_notification, version_member
from weenats.codec.validators import typed_dict, validator
from weenats.codec.violations import (
    SchemaError,
    invalid,
    reason,
    violations_of,
    without_keys,
)
from weenats.context import MessageContext
from weenats.contract import Event
from weenats.errors import InvalidArgumentError
from weenats.protocol import messages
from weenats.protocol.partitions import partition_of
from weenats.schema.part import declared_type

__all__ = ["EventCodec", "event_codec"]
_TYPE_AT: Final = len('{"id":"01JD8Q3XA4C2E6G8J0K2M4P6R8",')
"""Where events that this library publishes have their type and the version of their data."""


class EventCodec:
    """Encodes and decodes the notifications of one event.

    Args:
        event: the event.
    """

    def __init__(self, event: Event[Any]) -> None:
        self._event = event
        version = version_member(len(event.previous) + 1)
        self._type = f'"type":"{event.name}",{version.decode()}'
        self._type_bytes = self._type.encode()
        self._broken = f"the event {event.name} breaks the contract"
        aggregate = event.aggregate
        whose = aggregate_type(aggregate)
        notification = typed_dict(
            messages.EventNotification,
            type=Literal[event.name],
            aggregate=whose,
            data=declared_type(event.data),
        )
        self._keys = key_codec(aggregate)
        self._aggregate = None if whose is None else validator(whose)
        if aggregate is not None:
            self._aggregate_head = f'"aggregate":{{"type":"{aggregate.name}","key":'
        self._notification = Decoder(notification, event.data, ("data",))
        self._encode_data = Encoder(event.data).write

    def encode(
        self, key: object, data: object, revision: int | None, context: MessageContext
    ) -> bytes:
        """Encode a notification.

        Args:
            key: the key of the aggregate; None for an event of the service itself.
            data: the data of the event.
            revision: the revision of the aggregate after the event, None when there is none.
            context: the ids, the timestamp and the metadata of the message.

        Returns:
            The bytes of the notification.

        Raises:
            InvalidArgumentError: the key or the data is not valid.
        """
        try:
            head = f'{{"id":"{context.message_id}",{self._type}{self._encode_aggregate(key)}'
            if revision is not None:
                head += f'"revision":{revision:d},'
            head += f'"timestamp":"{context.timestamp}","data":'
            body = self._encode_data(data)
            parts = (head.encode(), body, b',"metadata":', message_metadata(context), b"}")
            return b"".join(parts)
        except (TypeError, ValueError) as error:
            text = f"the event {self._event.name} cannot be encoded: {reason(error)}"
        raise InvalidArgumentError(text)

    def partition(self, key: object, partitions: int) -> int:
        """Return the partition of the events of a key.

        Args:
            key: the key of the aggregate; None for an event of the service itself.
            partitions: how many there are.

        Raises:
            InvalidArgumentError: it is not a key of the aggregate.
        """
        return partition_of(self._keys.write(key), partitions)

    def _encode_aggregate(self, key: object) -> str:
        """Return the member `aggregate` of a notification, "" for an event of the service itself.

        Raises:
            ValueError: the key is not valid.
        """
        text, aggregate = self._keys.write(key), self._event.aggregate
        if aggregate is None or self._aggregate is None:
            return ""
        # An event has no reply, so a key that subscribers would reject is rejected here.
        if KEY.validate_python(text) is None:  # the quickest check; the other one says why
            self._aggregate.validate_python({"type": aggregate.name, "key": text})
        return f"{self._aggregate_head}{quoted(text)}}},"

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode a notification.

        Args:
            data: the bytes of the notification.

        Returns:
            The members of the notification, by their names on the wire; the data, and the key, are
            of the types that the contract declares.

        Raises:
            InvalidArgumentError: the notification breaks the contract.
        """
        try:
            if self._event.previous and not data.startswith(self._type_bytes, _TYPE_AT):
                data = upcast_notification(self._event, data)
            notification: dict[str, Any] = self._notification.decode(data)
            if not self._keys.is_plain:
                whose = notification["aggregate"]
                whose["key"] = self._keys.read(whose["key"], "aggregate")
        except (SchemaError, ValidationError) as error:
            # This is logged, so not even the keys of maps may be shown.
            found = without_keys(violations_of(error, data), self._notification.names)
            failure = invalid(self._broken, found)
        except UpcastError as error:
            failure = InvalidArgumentError(f"{self._broken}: {error}")
        except ValueError as error:
            listed = [each.as_dict() for each in violations_of(error)]
            failure = InvalidArgumentError(self._broken, details={"violations": listed})
        else:
            return notification
        raise failure


@cache
def event_codec(event: Event[Any]) -> EventCodec:
    """Return the codec of an event, which is created once.

    Args:
        event: the event.
    """
    return EventCodec(event)
