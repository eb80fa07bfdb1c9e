"""Idempotent commands of one running instance, as a member of its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.contract import Command
from weenats.idempotency.interceptor import OnceInterceptor
from weenats.idempotency.replies import Replies
from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.transport.jetstream import StreamUpkeep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.contract import AnyOperation
    from weenats.protocol.messages import HealthCheckEntry
    from weenats.transport.base import Transport

__all__ = ["Idempotency"]
_NAME: Final = "kept replies"


class Idempotency(ServiceFeature):
    """Answers repeats of the commands that have `once` in the contract with the first reply.

    Args:
        operations: the operations of the service.
        instance: the id of the instance.
        transport: its connection; None for a chain that is only described.
        replicas: how many servers keep the replies.
    """

    def __init__(
        self,
        operations: Iterable[AnyOperation],
        instance: str,
        transport: Transport | None,
        replicas: int = 1,
    ) -> None:
        commands: dict[AnyOperation, int] = {
            each: each.once
            for each in operations
            if isinstance(each, Command) and each.once is not None
        }
        self._seconds = commands
        self._replies: Replies | None = None
        self._upkeep: StreamUpkeep | None = None
        self._interceptors: dict[AnyOperation, OnceInterceptor] = {}
        if commands and transport is not None:
            service = next(iter(commands)).contract.name
            self._replies = replies = Replies(
                service, instance, transport, max(commands.values()), replicas
            )
            self._interceptors = {
                each: OnceInterceptor(each, seconds, replies) for each, seconds in commands.items()
            }

    @override
    def interceptor(self, operation: AnyOperation) -> OnceInterceptor | None:
        return self._interceptors.get(operation)

    @override
    def describe(self, operation: AnyOperation) -> Description | None:
        seconds = self._seconds.get(operation)
        if seconds is None:
            return None
        interceptor = self._interceptors.get(operation)
        return Description(
            name="once",
            settings=(Setting("once", seconds, "contract"),),
            statistics={}
            if interceptor is None
            else {"once": lambda: {"replayed": interceptor.replayed}},
        )

    @override
    def stored_in(self) -> Sequence[str]:
        return () if self._replies is None else (self._replies.stream,)

    @override
    async def start(self) -> None:
        if self._replies is not None:
            await self._replies.open()
            self._upkeep = StreamUpkeep(_NAME, self._replies.open)
            self._upkeep.start()

    @override
    async def close(self, timeout: float) -> None:
        if self._upkeep is not None:
            self._upkeep.close()
        if self._replies is not None:
            await self._replies.close(timeout)

    @override
    def health_checks(self) -> Sequence[HealthCheckEntry]:
        return () if self._upkeep is None else self._upkeep.health_checks()
