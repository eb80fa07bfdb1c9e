"""Calls of one instance: the same requests as those of the queue group, on a subject of its own."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from weenats.codec.failures import encode_error_headers, encode_failure
from weenats.errors import ServiceError, UnimplementedError
from weenats.protocol import subjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.service.endpoint import EndpointRunner
    from weenats.transport.base import Delivery, OnDelivery, Subscription, Transport

__all__ = ["answer_instance_calls"]


def answer_instance_calls(
    transport: Transport,
    service: str,
    instance_id: str,
    runners: Sequence[EndpointRunner],
    on_contract: OnDelivery,
) -> Subscription:
    """Serve the calls that are addressed to one instance.

    They are served whether or not the instance is in its queue group, so that one that is not ready
    can be examined.

    Args:
        transport: the connection.
        service: the name of the service.
        instance_id: the id of the instance.
        runners: serve the operations. Queries and idempotent commands can be called, since the
            calls of all instances execute them several times.
        on_contract: answers with the contract.
    """
    served: dict[str, OnDelivery] = {
        subjects.on_instance(runner.operation.subject, instance_id): runner.on_delivery
        for runner in runners
        if runner.operation.for_instances
    }
    served[subjects.on_instance(subjects.contract(service), instance_id)] = on_contract

    def on_delivery(delivery: Delivery) -> None:
        serve = served.get(delivery.subject)
        if serve is not None:
            serve(delivery)
        elif subjects.is_inbox(delivery.reply):
            error = UnimplementedError("this operation cannot be called on a single instance")
            with suppress(ServiceError):
                body = encode_failure(error, 0, None)
                transport.publish(delivery.reply, body, encode_error_headers(error))

    return transport.subscribe(subjects.all_on_instance(service, instance_id), on_delivery)
