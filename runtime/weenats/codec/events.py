"""Encoding and decoding of events.

As in `operations`, errors are raised outside of `except`.
"""

from functools import cache
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import to_json

from weenats.codec.json import dump_checked, reject_constants
from weenats.codec.metadata import message_metadata
from weenats.codec.validators import typed_dict, validator
from weenats.codec.violations import (
    declared_names,
    invalid,
    not_json,
    reason,
    validation_errors,
    without_keys,
)
from weenats.context import MessageContext
from weenats.contract import Event
from weenats.errors import InvalidArgumentError
from weenats.protocol import messages

__all__ = ["EventCodec", "event_codec"]


class EventCodec:
    """Encodes and decodes the notifications of one event.

    Args:
        event: the event.
    """

    def __init__(self, event: Event[Any]) -> None:
        self._event = event
        aggregate = typed_dict(messages.AggregateId, type=Literal[event.contract.aggregate])
        notification = typed_dict(
            messages.EventNotification,
            type=Literal[event.name],
            aggregate=aggregate,
            data=event.data,
        )
        self._aggregate = validator(aggregate)
        self._notification = validator(notification)

    def encode(self, key: str, data: object, revision: int, context: MessageContext) -> bytes:
        """Encode a notification.

        Args:
            key: the key of the aggregate.
            data: the data of the event.
            revision: the revision of the aggregate after the event.
            context: the ids, the timestamp and the metadata of the message.

        Returns:
            The bytes of the notification.

        Raises:
            InvalidArgumentError: the key or the data is not valid.
        """
        try:
            # An event has no reply, so a key that subscribers would reject is rejected here.
            self._aggregate.validate_python({"type": self._event.contract.aggregate, "key": key})
            return (
                b'{"id":"%b","type":"%b","aggregate":{"type":"%b","key":%b},"revision":%d,'
                b'"timestamp":"%b","data":%b,"metadata":%b}'
                % (
                    context.message_id.encode(),
                    self._event.name.encode(),
                    self._event.contract.aggregate.encode(),
                    to_json(key),
                    revision,
                    context.timestamp.encode(),
                    dump_checked(data, self._event.data),
                    message_metadata(context),
                )
            )
        except (TypeError, ValueError) as error:
            text = f"the event {self._event.name} cannot be encoded: {reason(error)}"
        raise InvalidArgumentError(text)

    def decode(self, data: bytes) -> dict[str, Any]:
        """Decode a notification.

        Args:
            data: the bytes of the notification.

        Returns:
            The members of the notification, by their names on the wire; `data` is an instance of
            the model that the contract declares.

        Raises:
            InvalidArgumentError: the notification breaks the contract.
        """
        text = f"the event {self._event.name} breaks the contract"
        try:
            notification: dict[str, Any] = self._notification.validate_json(data, by_name=False)
            reject_constants(data)
        except ValidationError as error:
            # This is logged, so not even the keys of maps may be shown.
            names = declared_names(messages.EventNotification, self._event.data)
            failure = invalid(text, without_keys(validation_errors(error, data), names))
        except ValueError as error:
            failure = not_json(text, error)
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
