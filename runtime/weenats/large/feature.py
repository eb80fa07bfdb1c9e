"""Large payloads of one running instance, as a member of its chain."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats._internal.tasks import start_task
from weenats.errors import ServiceError
from weenats.interceptors import Description, ServiceFeature, Setting
from weenats.large.interceptor import LargeInterceptor
from weenats.large.objects import LargeObjects
from weenats.protocol.messages import HealthCheckEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from weenats.contract import AnyOperation
    from weenats.transport.base import Transport

__all__ = ["LargePayloads"]
_CHECK: Final = "large payloads"
_INTERVAL: Final = 15.0
"""Seconds between two looks at whether the bucket, which callers may not create, is there."""


class LargePayloads(ServiceFeature):
    """Gets payloads and stores results of the operations that have `large` in the contract.

    Args:
        operations: the operations of the service.
        transport: the connection; None for a chain that is only described.
    """

    def __init__(self, operations: Iterable[AnyOperation], transport: Transport | None) -> None:
        large = [each for each in operations if each.large is not None]
        self._objects: LargeObjects | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._problem = ""
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
            keeping = self._keep(self._objects)
            self._keeping = start_task(keeping, context=Context())

    @override
    async def close(self, timeout: float) -> None:
        if self._keeping is not None:
            self._keeping.cancel()

    @override
    def health_checks(self) -> Sequence[HealthCheckEntry]:
        if not self._problem:
            return ()
        return (HealthCheckEntry(name=_CHECK, status="error", message=self._problem),)

    async def _keep(self, objects: LargeObjects) -> None:
        """Create the bucket again when somebody has deleted it."""
        while True:
            await asyncio.sleep(_INTERVAL)
            try:
                await objects.open()
            except ServiceError as error:
                self._problem = f"the bucket cannot be created: {error}"
            else:
                self._problem = ""
