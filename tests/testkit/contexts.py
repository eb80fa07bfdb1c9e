"""Request contexts for unit tests."""

from __future__ import annotations

from typing import Any

from testkit.probe import RUN, Run
from testkit.workers import FakeWorker
from weenats.admission.job import Job
from weenats.context import RequestContext, Response
from weenats.contract import AnyOperation
from weenats.errors import ServiceError
from weenats.protocol.headers import Headers
from weenats.protocol.identifiers import STAMPER
from weenats.transport import Delivery


class Refusing:
    """A received request whose payload is invalid, and was read already."""

    def __init__(self, error: ServiceError) -> None:
        self.error: ServiceError | None = error

    def read_payload(self) -> object:
        """Raise the error."""
        assert self.error is not None
        raise self.error


def make_context(**changes: Any) -> RequestContext:
    """Return the client's context of a call of the probe; `changes` replace its values."""
    message_id, timestamp = STAMPER.stamp()
    values: dict[str, Any] = {
        "side": "client",
        "operation": RUN,
        "key": "k-1",
        "payload": Run(action="go"),
        "message_id": message_id,
        "timestamp": timestamp,
        "correlation_id": message_id,
    }
    return RequestContext(**{**values, **changes})


def make_served_request(
    operation: AnyOperation = RUN, headers: bytes = b"", received: int = 0
) -> tuple[Job, RequestContext]:
    """Return the job and the context of a request that a service has received."""
    delivery = Delivery(operation.subject, "reply", b"", headers)
    job = Job(FakeWorker(), delivery, received=received)
    context = make_context(
        side="server", operation=operation, headers=Headers(headers), payload=None, work=job
    )
    return job, context


async def answered(context: RequestContext) -> Response:
    """Return an empty response, as the innermost step of a chain."""
    return Response(None)
