"""What one request costs the server, without the network; each feature compared with none.

Requests are parsed, served and answered in this process, in batches as a busy connection delivers
them; only the socket is missing. Batches take turns, and of each kind only the fastest tenth
counts, so that other load of the machine hardly shows.

`python tests/benchmarks/server_path.py [ROUNDS]` measures this alone.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from time import perf_counter
from typing import Any, Final

import judged
import recorded
import recording
import typed
import with_auth
from no_socket import IN_FLIGHT, connected, deliver, frame, table, taken
from weenats import NatsServiceBuilder
from weenats.codec.operations import OperationCodec
from weenats.context import RequestContext
from weenats.protocol.identifiers import STAMPER
from workload import KEY, ORDER

_SAMPLED: Final = b"traceparent: 00-%b-%b-01\r\n" % (b"a" * 32, b"b" * 16)
_UNSAMPLED: Final = _SAMPLED.replace(b"-01\r", b"-00\r")

Batch = Callable[[], Awaitable[float]]


async def batch(
    services: AsyncExitStack,
    build: Callable[[NatsServiceBuilder], NatsServiceBuilder],
    token: str | None,
    trace: bytes,
    service_type: type[typed.Orders] = typed.Orders,
) -> Batch:
    """Start a service without a socket; return what serves a batch and returns seconds a call.

    It stops with `services`.
    """
    connection, transport = connected()
    handlers = service_type()
    builder = NatsServiceBuilder(handlers, transport=transport).with_queue_group("bench", 256)
    service: Any = build(builder).build()
    await services.enter_async_context(service)
    runner = service._assembly.runners[0]
    subject = handlers.operation.subject
    sid = next(each.sid for each in connection._interests.values() if each.subject == subject)
    codec = OperationCodec(handlers.operation)
    frames = b"".join(_frame(codec, sid, number, token, trace) for number in range(IN_FLIGHT))

    async def serve() -> float:
        data, wanted = bytes(bytearray(frames)), runner.counters.requests + IN_FLIGHT
        before = perf_counter()
        await deliver(connection, data)
        while runner.counters.requests < wanted:  # noqa: ASYNC110 - an event would cost
            await asyncio.sleep(0)
        connection._hand_over()
        return (perf_counter() - before) / IN_FLIGHT

    await serve()
    if runner.counters.errors:
        raise ValueError(runner.counters.last_error)
    return serve


def _frame(codec: OperationCodec, sid: int, number: int, token: str | None, trace: bytes) -> bytes:
    message_id, timestamp = STAMPER.stamp()
    context = RequestContext(
        side="client",
        operation=codec.operation,
        key=KEY,
        payload=typed.CreateOrder.model_validate(ORDER),
        message_id=message_id,
        timestamp=timestamp,
        correlation_id=STAMPER.new_id(),
        token=token,
    )
    body = codec.encode_request(context)
    reply = b"_INBOX.abcdefghijklmnopqrstuv.%d" % number
    lines = b"Wee-Timeout: 5000\r\n%b" % trace
    return frame(codec.operation.subject.encode(), sid, reply, lines, body)


async def _measure(rounds: int) -> dict[str, list[float]]:
    recording.record()
    token = with_auth.new_token()
    async with AsyncExitStack() as services:
        serve = partial(batch, services)
        batches = {
            "weenats": await serve(_plain, None, b""),
            "exact by check": await serve(_plain, None, b"", judged.Orders),
            "with_auth": await serve(_with_auth, token, b""),
            "limit and breaker": await serve(_with_limits, None, b""),
            "everything on, sampled out": await serve(recorded.with_everything, token, _UNSAMPLED),
            "everything on, spans recorded": await serve(recorded.with_everything, token, _SAMPLED),
        }
        return await taken(batches, rounds)


def _plain(builder: NatsServiceBuilder) -> NatsServiceBuilder:
    return builder


def _with_auth(builder: NatsServiceBuilder) -> NatsServiceBuilder:
    return builder.with_auth(with_auth.CONFIG)


def _with_limits(builder: NatsServiceBuilder) -> NatsServiceBuilder:
    return builder.with_rate_limit(1_000_000).with_circuit_breaker()


def measure(rounds: int) -> str:
    """Return a table of what each feature costs."""
    return table("server", asyncio.run(_measure(rounds)))


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if sys.argv[1:] else 600))
