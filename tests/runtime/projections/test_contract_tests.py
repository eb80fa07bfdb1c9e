"""Contract tests of handlers that answer queries from a projection."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import ClassVar, Final

import pytest
from typing_extensions import override

from testkit.parcels import CONTRACT
from testkit.projections import COUNTS, TOTAL
from weenats import Endpoint, Query, RequestContext, ServiceContract, ServiceHandlers
from weenats.errors import UnavailableError
from weenats.testing import Example, NatsServerError, check_example, examples

COUNT: Final[Query[None, int]] = Query(
    name="count",
    contract=CONTRACT,
    parameters=type(None),
    result=int,
    description="How many parcels were delivered.",
)


class Counts(ServiceHandlers):
    """Answers from a projection that runs in the lifespan."""

    contract: ClassVar[ServiceContract] = CONTRACT

    @override
    @asynccontextmanager
    async def lifespan(self) -> AsyncGenerator[None]:
        """Run the projection."""
        async with COUNTS.run(self.transport) as self.counts:
            yield

    async def count(self, context: RequestContext) -> int:
        """Return the sum."""
        del context
        return await (await self.counts.view()).get(TOTAL) or 0

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the query."""
        return (Endpoint.plain_query(COUNT, self.count),)


class Unavailable(Counts):
    """Never has a view."""

    @override
    async def count(self, context: RequestContext) -> int:
        """Refuse."""
        raise UnavailableError("no view")


def test_example_waits_for_the_view() -> None:
    """A query passes although the view is complete only after the start."""
    check_example(Counts(), Example(COUNT))


def test_example_of_a_view_that_is_never_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query that stays UNAVAILABLE fails; without a nats-server as well."""

    def missing() -> None:
        raise NatsServerError("no nats-server found")

    monkeypatch.setattr(examples, "NatsServer", missing)
    monkeypatch.setattr(examples, "_READY_AFTER", 0.1)
    with pytest.raises(AssertionError, match="count answers UNAVAILABLE: no view"):
        check_example(Unavailable(), Example(COUNT))
