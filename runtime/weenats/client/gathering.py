"""Calls of all instances of a service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from weenats._internal.tasks import start_task
from weenats.errors import DeadlineExceededError, InvalidArgumentError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from weenats.protocol.messages import PingResponse

__all__ = ["InstanceReply", "gather_calls"]
ClientT = TypeVar("ClientT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class InstanceReply(Generic[ResultT]):
    """What the call of one instance gave.

    Attributes:
        instance: the instance: its id, the name and version of the service.
        error: why there is no result; None if there is one.
    """

    instance: PingResponse
    error: ServiceError | None
    _result: ResultT | None = field(repr=False)

    def result(self) -> ResultT:
        """Return the result of the call.

        Raises:
            ServiceError: the call failed; it is `error`.
        """
        if self.error is not None:
            raise self.error
        return cast("ResultT", self._result)


async def gather_calls(
    clients: Sequence[tuple[PingResponse, ClientT]],
    call: Callable[[ClientT], Awaitable[ResultT]],
    deadline: float,
) -> list[InstanceReply[ResultT]]:
    """Call several instances at the same time.

    Args:
        clients: the instances, each with a client for it.
        call: calls one instance.
        deadline: when calls that are not finished are cancelled, on the monotonic clock.

    Returns:
        A reply for each instance, in their order.

    Raises:
        InvalidArgumentError: an argument of the calls is not valid: none of them could be sent.
    """

    async def ask(instance: PingResponse, client: ClientT) -> InstanceReply[ResultT]:
        try:
            return InstanceReply(instance, None, await call(client))
        except ServiceError as error:
            return InstanceReply(instance, error, None)

    tasks = [start_task(ask(*each)) for each in clients]
    try:
        if tasks:
            wait = max(deadline - monotonic(), 0)
            await asyncio.wait(tasks, timeout=wait, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    failures = [task.exception() for task in tasks if not task.cancelled()]
    for failure in failures:
        if failure is not None:
            raise failure
    replies: list[InstanceReply[ResultT]] = [
        InstanceReply(
            instance, DeadlineExceededError("the instance did not answer within max_wait"), None
        )
        if task.cancelled()
        else task.result()
        for (instance, _), task in zip(clients, tasks, strict=True)
    ]
    errors = [reply.error for reply in replies]
    # Of some instances only, it is due to their ids, which other parties can make up.
    if errors and all(
        isinstance(each, InvalidArgumentError) and not each.remote for each in errors
    ):
        replies[0].result()
    return replies
