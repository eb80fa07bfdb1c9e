"""A connection that belongs to something else, which may have another one at another time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats._internal.uncopyable import Uncopyable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from weenats.transport.base import Accepts, Delivery, OnDelivery, Subscription, Transport

__all__ = ["SharedTransport"]


class SharedTransport(Uncopyable):
    """Uses the current connection of its owner; see Transport.

    Args:
        find: returns the current connection, or raises an error that says why there is none.
    """

    def __init__(self, find: Callable[[], Transport]) -> None:
        self._find = find

    @property
    def current(self) -> Transport:
        """The current connection."""
        return self._find()

    @property
    def max_payload(self) -> int:
        """As of the current connection."""
        return self._find().max_payload

    @property
    def is_private(self) -> bool:
        """As of the current connection."""
        return self._find().is_private

    @property
    def server_address(self) -> tuple[str, int] | None:
        """As of the current connection."""
        return self._find().server_address

    @property
    def is_connected(self) -> bool:
        """As of the current connection."""
        return self._find().is_connected

    async def connect(self) -> None:
        """Open the current connection, if its owner has not."""
        await self._find().connect()

    async def close(self) -> None:
        """Do nothing: the owner closes its connection."""

    async def wait_closed(self) -> None:
        """Wait until the current connection is closed."""
        await self._find().wait_closed()

    async def wait_disconnected(self) -> None:
        """Wait until the current connection ends; see `Transport`."""
        await self._find().wait_disconnected()

    def new_inbox(self) -> str:
        """Return a unique subject for replies; see `Transport`."""
        return self._find().new_inbox()

    def publish(self, subject: str, payload: bytes, headers: bytes = b"", reply: str = "") -> None:
        """Send a message on the current connection; see `Transport`."""
        self._find().publish(subject, payload, headers, reply)

    async def request(  # noqa: PLR0913 - the parts of a request
        self,
        subject: str,
        payload: bytes,
        headers: bytes,
        deadline: float,
        accepts: Accepts | None = None,
        *,
        cancel_subject: str = "",
        message_id: str = "",
    ) -> Delivery:
        """Send a request on the current connection and wait for its reply; see `Transport`."""
        return await self._find().request(
            subject,
            payload,
            headers,
            deadline,
            accepts,
            cancel_subject=cancel_subject,
            message_id=message_id,
        )

    async def request_many(  # noqa: PLR0913 - the parts of a request
        self,
        subject: str,
        payload: bytes,
        headers: bytes = b"",
        *,
        timeout: float,
        quiet: float,
        accepts: Accepts | None = None,
    ) -> list[Delivery]:
        """Send a request on the current connection and gather replies; see `Transport`."""
        return await self._find().request_many(
            subject, payload, headers, timeout=timeout, quiet=quiet, accepts=accepts
        )

    def subscribe(
        self, subject: str, on_delivery: OnDelivery, queue_group: str = ""
    ) -> Subscription:
        """Subscribe on the current connection; see `Transport`."""
        return self._find().subscribe(subject, on_delivery, queue_group)

    async def fence(self) -> None:
        """Wait until the server of the current connection has processed what was sent."""
        await self._find().fence()

    async def unsubscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """End subscriptions of the current connection; see `Transport`."""
        await self._find().unsubscribe(subscriptions)
