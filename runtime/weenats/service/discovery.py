"""Answering discovery (ADR-32: PING, INFO, STATS) and health requests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic import MISSING, JsonValue
from pydantic_core import to_json

from weenats._internal.timestamps import utc_timestamp
from weenats.codec.failures import encode_error_headers
from weenats.errors import InternalError, MessageTooLargeError, ServiceError
from weenats.protocol import messages, subjects

if TYPE_CHECKING:
    from weenats.contract import ServiceContract
    from weenats.model import Model
    from weenats.transport.base import Delivery, OnDelivery, Subscription, Transport

__all__ = [
    "EndpointCounters",
    "EndpointDescription",
    "Instance",
    "Statistics",
    "answer_discovery",
    "answer_health",
    "answering",
]
_LOG: Final = logging.getLogger("weenats.service")
_MAX_REASON: Final = 200
"""The length of the reason in an answer that is cut short."""
Statistics = Mapping[str, Callable[[], JsonValue]]
"""The members of `data` in STATS: functions that return their current values and do not raise."""


@dataclass(slots=True)
class EndpointCounters:
    """Counts the requests of one endpoint of one instance.

    Attributes:
        requests: how many there were.
        errors: how many of them failed, with any error.
        last_error: the code of the last error, "" without one.
        processing_time: the time that handlers took together, in nanoseconds.
        on_duration: takes the duration of each request that ran, in nanoseconds.
    """

    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing_time: int = 0
    on_duration: Callable[[int], None] | None = None

    def count(self, nanoseconds: int, error: ServiceError | None) -> None:
        """Count one request.

        Args:
            nanoseconds: how long it ran, 0 when it was refused.
            error: the error that it was answered with, None for a success.
        """
        self.requests += 1
        self.processing_time += nanoseconds
        if self.on_duration is not None and nanoseconds:
            self.on_duration(nanoseconds)
        if error is not None:
            self.errors += 1
            self.last_error = error.label


@dataclass(frozen=True, slots=True)
class EndpointDescription:
    """One endpoint, as discovery describes it.

    Attributes:
        info: its description in INFO.
        counters: its counters in STATS.
        data: its other statistics in STATS.
    """

    info: messages.EndpointInfo
    counters: EndpointCounters
    data: Statistics

    def stats(self, *, is_short: bool = False) -> messages.EndpointStats:
        """Return the statistics of the endpoint.

        Args:
            is_short: whether to leave out `data`.
        """
        counters = self.counters
        return messages.EndpointStats(
            name=self.info.name,
            subject=self.info.subject,
            queue_group=self.info.queue_group,
            num_requests=counters.requests,
            num_errors=counters.errors,
            last_error=counters.last_error,
            processing_time=counters.processing_time,
            average_processing_time=counters.processing_time // max(counters.requests, 1),
            data=MISSING if is_short else _current(self.data),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running instance of a service, as discovery describes it.

    Attributes:
        contract: the contract of the service.
        instance_id: the id of the instance.
        endpoints: its endpoints.
        readiness: returns whether it is ready, and the results of its health checks.
        data: its other statistics in STATS.
        started: when it was started.
    """

    contract: ServiceContract
    instance_id: str
    endpoints: Sequence[EndpointDescription]
    readiness: Callable[[], messages.HealthCheckData]
    data: Statistics
    started: str = field(default_factory=utc_timestamp)

    def ping(self) -> messages.PingResponse:
        """Return the answer to PING."""
        return messages.PingResponse(type="io.nats.micro.v1.ping_response", **self._identity())

    def info(self) -> messages.InfoResponse:
        """Return the answer to INFO."""
        return messages.InfoResponse(
            type="io.nats.micro.v1.info_response",
            **self._identity(),
            description=self.contract.description,
            endpoints=[each.info for each in self.endpoints],
        )

    def stats(self, *, is_short: bool = False) -> messages.StatsResponse:
        """Return the answer to STATS.

        Args:
            is_short: whether to leave out all `data` but the health without its checks.
        """
        readiness = self._readiness(is_short=is_short)
        health = {"health": readiness.model_dump(mode="json", by_alias=True)}
        return messages.StatsResponse(
            type="io.nats.micro.v1.stats_response",
            **self._identity(),
            started=self.started,
            endpoints=[each.stats(is_short=is_short) for each in self.endpoints],
            data=health
            if is_short
            else {name: read() for name, read in self.data.items()} | health,
        )

    def health(self, *, is_short: bool = False) -> messages.HealthCheck:
        """Return the answer to a health request: "ok" if the instance is ready.

        Args:
            is_short: whether to leave out the checks and what names them.
        """
        data = self._readiness(is_short=is_short)
        identity = self._identity()
        del identity["metadata"]
        return messages.HealthCheck(
            type="io.nats.micro.v1.ping_response",
            **identity,
            status="ok" if data.ready else "error",
            data=data,
        )

    def _readiness(self, *, is_short: bool) -> messages.HealthCheckData:
        data = self.readiness()
        if not is_short:
            return data
        reason = data.reason
        if reason is not None and len(reason) > _MAX_REASON:
            reason = f"{reason[:_MAX_REASON]}..."
        return data.model_copy(update={"reason": reason, "checks": []})

    def _identity(self) -> dict[str, Any]:
        return {
            "name": self.contract.name,
            "id": self.instance_id,
            "version": self.contract.version,
            # Callers compare the digest with that of their own contract.
            "metadata": {"contract": self.contract.digest},
        }


def answer_discovery(transport: Transport, instance: Instance) -> list[Subscription]:
    """Answer PING, INFO and STATS, to requests for all services, the service and the instance.

    Args:
        transport: the connection.
        instance: answers the requests.

    Returns:
        The subscriptions.
    """
    name = instance.contract.name
    answers: dict[str, list[Callable[[], Model]]] = {
        "PING": [instance.ping],
        "INFO": [instance.info],
        "STATS": [instance.stats, partial(instance.stats, is_short=True)],
    }
    return [
        transport.subscribe(subjects.discovery(verb, *target), _answer(transport, *answer))
        for verb, answer in answers.items()
        for target in ((), (name,), (name, instance.instance_id))
    ]


def answer_health(transport: Transport, instance: Instance) -> list[Subscription]:
    """Answer health requests; one of the instances of a service answers each request.

    Args:
        transport: the connection.
        instance: answers the requests.

    Returns:
        The subscriptions.
    """
    name = instance.contract.name
    answer = _answer(transport, instance.health, partial(instance.health, is_short=True))
    return [transport.subscribe(subjects.health(name), answer, name)]


def _current(data: Statistics) -> Any:  # noqa: ANN401 - MISSING has no type of its own
    """Return the current values as one object, absent when there are none."""
    return {name: read() for name, read in data.items()} or MISSING


def _answer(transport: Transport, *answers: Callable[[], Model]) -> OnDelivery:
    """Return a callback that replies with the first answer that can be sent, else with an error."""
    return answering(transport, lambda reply: _send_first(transport, reply, answers))


def answering(transport: Transport, send: Callable[[str], None]) -> OnDelivery:
    """Return a callback that answers requests, with an error if the answer cannot be sent.

    Args:
        transport: the connection.
        send: sends the answer to a reply subject.
    """
    logged: set[type[Exception]] = set()

    def on_delivery(delivery: Delivery) -> None:
        if not subjects.is_inbox(delivery.reply):
            return
        try:
            send(delivery.reply)
        except Exception as error:  # noqa: BLE001 - the request is answered, whatever is wrong
            failure = error if isinstance(error, ServiceError) else InternalError()
            with suppress(ServiceError):
                try:
                    transport.publish(delivery.reply, b"", encode_error_headers(failure))
                except MessageTooLargeError:
                    short = encode_error_headers(failure, is_short=True)
                    transport.publish(delivery.reply, b"", short)
            if type(error) not in logged:
                logged.add(type(error))
                cause = None if isinstance(error, ServiceError) else error
                _LOG.error(
                    "%s cannot be answered: %s", delivery.subject, failure.label, exc_info=cause
                )

    return on_delivery


def _send_first(transport: Transport, reply: str, answers: Sequence[Callable[[], Model]]) -> None:
    """Send the first answer that is not too large.

    Raises:
        MessageTooLargeError: all are too large.
    """
    for number, answer in enumerate(answers, start=1):
        data = to_json(answer(), by_alias=True)
        try:
            transport.publish(reply, data)
        except MessageTooLargeError:
            if number == len(answers):
                size, limit = len(data), transport.max_payload
                raise MessageTooLargeError(
                    f"the answer has {size} bytes, the NATS server carries at most {limit}"
                ) from None
        else:
            return
