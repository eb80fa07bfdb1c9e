"""Contender "by hand, everything": what a careful person builds of the same libraries.

PyJWT checks the EdDSA token of each call, aiolimiter and aiobreaker stand before the handler,
OpenTelemetry records a span and a duration on either side, W3C headers carry the trace, a header
the deadline.
"""

import time
from datetime import timedelta

import jwt
import nats
from aiobreaker import CircuitBreaker  # type: ignore[import-untyped]
from aiolimiter import AsyncLimiter
from nats.aio.msg import Msg
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

import recording
import with_auth
from by_hand import REPLIES, REQUESTS, Confirmation, CreateOrder, Reply, Request, confirm
from harness import Call
from workload import CONFIRMATION, KEY, ORDER

SUBJECT = "bench.by-hand-everything"
METHOD = {"rpc.system.name": "nats", "rpc.method": "orders/create-order"}
PUBLIC_KEY = with_auth.KEY.public_key()


async def handle(order: CreateOrder) -> Confirmation:
    """The handler, behind the breaker."""
    return confirm(order)


async def serve(url: str, subject: str = SUBJECT) -> None:
    """Authenticate, limit, validate, handle, answer."""
    recording.record()
    tracer = trace.get_tracer("by-hand")
    durations = recording.durations("rpc.server.call.duration")
    connection = await nats.connect(url)
    limiter = AsyncLimiter(1_000_000, 1)
    breaker = CircuitBreaker(fail_max=5, timeout_duration=timedelta(seconds=30))

    async def process(message: Msg) -> Reply:
        headers = message.headers or {}
        if time.time() > float(headers["deadline"]):
            return Reply(ok=False, error="deadline exceeded")
        jwt.decode(
            headers["authorization"],
            PUBLIC_KEY,
            algorithms=["EdDSA"],
            audience=with_auth.AUDIENCE,
            issuer=with_auth.ISSUER,
        )
        if not limiter.has_capacity():
            return Reply(ok=False, error="too many requests")
        await limiter.acquire()
        request = REQUESTS.validate_json(message.data)
        return Reply(ok=True, confirmation=await breaker.call_async(handle, request.order))

    async def answer(message: Msg) -> None:
        before = time.perf_counter()
        attributes = recording.attributes(subject, "process", len(message.data))
        with tracer.start_as_current_span(
            "orders/create-order",
            propagate.extract(message.headers or {}),
            SpanKind.SERVER,
            attributes,
        ) as span:
            try:
                reply = await process(message)
            except (ValidationError, jwt.PyJWTError) as error:
                span.set_attribute("error.type", type(error).__name__)
                reply = Reply(ok=False, error="refused")
            body = REPLIES.dump_json(reply, exclude_none=True)
            await connection.publish(message.reply, body)
        durations.record(time.perf_counter() - before, METHOD)

    await connection.subscribe(subject, queue="bench", cb=answer)
    await connection.flush()


async def connect(url: str, subject: str = SUBJECT) -> Call:
    """Trace, inject, send, validate the answer."""
    recording.record()
    tracer = trace.get_tracer("by-hand")
    durations = recording.durations("rpc.client.call.duration")
    connection = await nats.connect(url)
    order = CreateOrder.model_validate(ORDER)
    token = with_auth.new_token()

    async def place(key: str, order: CreateOrder) -> Confirmation:
        before = time.perf_counter()
        body = REQUESTS.dump_json(Request(key=key, order=order))
        attributes = recording.attributes(subject, "send", len(body))
        with tracer.start_as_current_span(
            "orders/create-order", kind=SpanKind.CLIENT, attributes=attributes
        ):
            headers = {"authorization": token, "deadline": str(time.time() + 5)}
            propagate.inject(headers)
            message = await connection.request(subject, body, timeout=5, headers=headers)
        durations.record(time.perf_counter() - before, METHOD)
        reply = REPLIES.validate_json(message.data)
        if reply.confirmation is None:
            raise ValueError(reply.error)
        return reply.confirmation

    async def call() -> None:
        await place(KEY, order)

    confirmation = await place(KEY, order)
    if confirmation.model_dump() != CONFIRMATION:
        raise ValueError(f"unexpected reply: {confirmation!r}")
    return call
