"""Large payloads of one running instance, as a member of its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.large.interceptor import LargeInterceptor
from weenats.large.objects import LargeObjects
from weenats.transport.jetstream import StreamUpkeep

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.contract import AnyOperation
    from weenats.protocol.messages import HealthCheckEntry
    from weenats.transport.base import Transport

__all__ = ["LargePayloads"]
_NAME: Final = "large payloads"


class LargePayloads(ServiceFeature):
    """Gets payloads and stores results of the operations that have `large` in the contract.

    Args:
        operations: the operations of the service.
        transport: the connection; None for a chain that is only described.
    """

    def __init__(self, operations: Iterable[AnyOperation], transport: Transport | None) -> None:
        large = [each for each in operations if each.large is not None]
        self._objects: LargeObjects | None = None
        self._upkeep: StreamUpkeep | None = None
        self._interceptors: dict[AnyOperation, LargeInterceptor] = {}
        if large and transport is not None:
            self._objects = objects = LargeObjects(large[0].contract.name, transport)
            self._interceptors = {
                each: LargeInterceptor(each, objects, transport) for each in large
            }

    @override
    def interceptor(self, operation: AnyOperation) -> LargeInterceptor | None:
        return self._interceptors.get(operation)

    @override
    def describe(self, operation: AnyOperation) -> Description | None:
        if operation.large is None:
            return None
        settings = (Setting("large, bytes at most", operation.large, "contract"),)
        return Description(name=_NAME, settings=settings)

    @override
    async def start(self) -> None:
        if self._objects is not None:
            await self._objects.open()
            self._upkeep = StreamUpkeep(_NAME, self._objects.open)
            self._upkeep.start()

    @override
    async def close(self, timeout: float) -> None:
        if self._upkeep is not None:
            self._upkeep.close()

    @override
    def health_checks(self) -> Sequence[HealthCheckEntry]:
        return () if self._upkeep is None else self._upkeep.health_checks()
