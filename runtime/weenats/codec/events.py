"""Notifications of events, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError, create_model
from pydantic_core import to_json

from weenats.codec.json import dump_checked, refuse_constants
from weenats.codec.metadata import message_metadata
from weenats.codec.violations import faults, invalid, not_json, reason
from weenats.errors import InvalidArgumentError
from weenats.protocol import messages
from weenats.protocol.identifiers import STAMPER

if TYPE_CHECKING:
    from weenats.context import MessageContext
    from weenats.contract import Event


class EventCodec:
    """Reads and writes the notifications of one event."""

    def __init__(self, event: Event[Any]) -> None:
        self._event = event
        of_type: Any = Literal[event.contract.aggregate]
        named: Any = Literal[event.name]
        aggregate = create_model(
            "TypedAggregateId", __base__=messages.AggregateId, type=(of_type, ...)
        )
        model = create_model(
            "TypedNotification",
            __base__=messages.EventNotification,
            type=(named, ...),
            aggregate=(aggregate, ...),
            data=(event.data, ...),
        )
        self._aggregate = aggregate.__pydantic_validator__
        self._validator = model.__pydantic_validator__

    def encode(self, key: str, data: object, revision: int, context: MessageContext) -> bytes:
        """Write a notification.

        Raises:
            InvalidArgumentError: the key or the data cannot be written.
        """
        try:
            # Nobody answers an event: a key that subscribers would refuse is refused here.
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
                    STAMPER.timestamp.encode(),
                    dump_checked(data, self._event.data),
                    message_metadata(context, STAMPER.timestamp),
                )
            )
        except (TypeError, ValueError) as error:
            raise InvalidArgumentError(
                f"the event {self._event.name} cannot be written: {reason(error)}"
            ) from None

    def decode(self, data: bytes) -> messages.EventNotification:
        """Read a notification; its `data` is of the event's own type.

        Raises:
            InvalidArgumentError: it breaks the contract.
        """
        broken = f"the event {self._event.name} breaks the contract"
        try:
            notification: messages.EventNotification = self._validator.validate_json(
                data, by_name=False
            )
            refuse_constants(data)
        except ValidationError as error:
            raise invalid(broken, faults(error, data)) from None
        except ValueError as error:
            raise not_json(broken, error) from None
        return notification
