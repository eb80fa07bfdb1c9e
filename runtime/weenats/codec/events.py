"""Encoding and decoding of events.

As in `operations`, errors are raised outside of `except`.
"""

import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, Final, Literal

from pydantic import JsonValue, ValidationError
from pydantic_core import to_json

from weenats.codec.json import has_constants
from weenats.codec.keys import PLAIN, aggregate_type, key_codec
from weenats.codec.metadata import TEXT, TIMESTAMP, ULID, WRITTEN, message_metadata
from weenats.codec.parts import Decoder, Encoder
from weenats.codec.requests import METADATA_HEAD
from weenats.codec.upcasting import DATA_VERSION, UpcastError, upcast_notification, version_member
from weenats.codec.validators import typed_dict, validator
from weenats.codec.violations import (
    SchemaError,
    invalid,
    reason,
    violations,
    violations_of,
)
from weenats.context import NO_CONTEXT, MessageContext, received_context
from weenats.contract import Event
from weenats.errors import InvalidArgumentError
from weenats.protocol import messages
from weenats.protocol.partitions import partition_of
from weenats.schema.part import declared_type

__all__ = ["EventCodec", "Notification", "event_codec"]
Notification = tuple[str, Any, int | None, str, Any, str, str, str | None, Mapping[str, JsonValue]]
"""The id, the key, the revision, the timestamp and the data of an event; the message id, the
correlation id, the causation id and the context of its metadata."""
_METADATA_HEAD: Final = METADATA_HEAD.decode()
_DATA_VERSION: Final = f'"{DATA_VERSION}"'.encode()
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
        self._keys = key_codec(aggregate)
        self._aggregate = None if whose is None else validator(whose)
        key = "()"
        if aggregate is not None:
            self._aggregate_head = f'"aggregate":{{"type":"{aggregate.name}","key":'
            key = rf'{re.escape(self._aggregate_head)}"({TEXT})"\}},'
        self._head = re.compile(
            rf'\{{"id":"({ULID})",{re.escape(self._type)}{key}'
            rf'(?:"revision":(0|[1-9][0-9]{{0,15}}),)?"timestamp":"({TIMESTAMP})","data":'
        ).match
        self._data = Decoder(declared_type(event.data), event.data)
        self._encode_data = Encoder(event.data).write

    # Most events are as `encode` writes them: what others need is built when there is one.
    @cached_property
    def _notification(self) -> Decoder:
        event = self._event
        notification = typed_dict(
            messages.EventNotification,
            type=Literal[event.name],
            aggregate=aggregate_type(event.aggregate),
            data=declared_type(event.data),
        )
        return Decoder(notification, event.data, ("data",))

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
            SchemaError: the key is not valid.
        """
        text, aggregate = self._keys.write(key), self._event.aggregate
        if aggregate is None or self._aggregate is None:
            return ""
        if PLAIN(text) is not None:
            return self._aggregate_head + '"' + text + '"},'  # not formatted: it may be an Enum
        # An event has no reply, so a key that subscribers would reject is rejected here.
        try:
            self._aggregate.validate_python({"type": aggregate.name, "key": text})
        except ValidationError as error:
            found = [each._replace(path=()).inside("key") for each in violations_of(error)]
        else:
            return f"{self._aggregate_head}{to_json(text).decode()}}},"
        raise SchemaError(found)

    def decode(self, data: bytes) -> Notification:
        """Decode a notification.

        Args:
            data: the bytes of the notification.

        Returns:
            What is in the notification; the data, and the key, are of the types that the contract
            declares.

        Raises:
            InvalidArgumentError: the notification breaks the contract.
        """
        # As `encode` writes it: data between texts that a pattern matches in half the time that a
        # validator takes. What does not match, or is not valid, is read as a whole.
        text = data.decode("latin-1")  # a character a byte, so that places are the same
        head = self._head(text)
        if head is not None:
            end = text.rfind(_METADATA_HEAD)
            written = WRITTEN(text, end + len(_METADATA_HEAD))
            if written is not None and not has_constants(part := data[head.end() : end]):
                try:
                    value = self._data.read(part)
                except ValueError:
                    pass  # reading it as a whole shows what is wrong, and where
                else:
                    event_id, key, revision, timestamp = head.groups()
                    message_id, _, correlation_id, causation_id, _ = written.groups()
                    return (
                        event_id,
                        self._key(key),
                        None if revision is None else int(revision),
                        timestamp,
                        value,
                        message_id,
                        correlation_id,
                        causation_id,
                        NO_CONTEXT,
                    )
        return self._decode_whole(data)

    def _decode_whole(self, data: bytes) -> Notification:
        """Decode a notification whose members may have any order.

        Raises:
            InvalidArgumentError: it breaks the contract.
        """
        try:
            is_present = data.startswith(self._type_bytes, _TYPE_AT) and self._event.previous
            if not is_present and (self._event.previous or _DATA_VERSION in data):
                data = upcast_notification(self._event, data)
            members: dict[str, Any] = self._notification.decode(data)
        except SchemaError as error:
            # This is logged, so not even the keys of maps may be shown.
            failure = invalid(self._broken, [each.redacted for each in error.found])
        except UpcastError as error:
            failure = InvalidArgumentError(f"{self._broken}: {error}")
        except ValueError as error:
            failure = InvalidArgumentError(self._broken, details={"violations": violations(error)})
        else:
            metadata = members.get("metadata", {})
            message_id = metadata.get("messageId", members["id"])
            correlation = metadata.get("correlation", {})
            return (
                members["id"],
                self._key(members["aggregate"]["key"] if self._event.aggregate else ""),
                members.get("revision"),
                members["timestamp"],
                members["data"],
                message_id,
                correlation.get("correlationId", message_id),
                correlation.get("causationId"),
                received_context(metadata),
            )
        raise failure

    def _key(self, text: str) -> Any:
        """Return the key of an event, None for an event of the service itself.

        Raises:
            InvalidArgumentError: the contract does not allow it.
        """
        if self._event.aggregate is None:
            return None
        return text if self._keys.is_plain else self._keys.read(text, "aggregate")


@cache
def event_codec(event: Event[Any]) -> EventCodec:
    """Return the codec of an event, which is created once.

    Args:
        event: the event.
    """
    return EventCodec(event)
