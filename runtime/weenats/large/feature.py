"""Large payloads of one running instance, as a member of its chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.large.interceptor import LargeInterceptor
from weenats.large.objects import LargeObjects

if TYPE_CHECKING:
    from collections.abc import Iterable

    from weenats.contract import AnyOperation
    from weenats.transport.base import Transport

__all__ = ["LargePayloads"]


class LargePayloads(ServiceFeature):
    """Gets payloads and stores results of the operations that have `large` in the contract.

    Args:
        operations: the operations of the service.
        transport: the connection; None for a chain that is only described.
    """

    def __init__(self, operations: Iterable[AnyOperation], transport: Transport | None) -> None:
        large = [each for each in operations if each.large is not None]
        self._objects: LargeObjects | None = None
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
        return Description(name="large payloads", settings=settings)

    @override
    async def start(self) -> None:
        if self._objects is not None:
            await self._objects.open()
