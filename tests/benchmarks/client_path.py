"""What one call costs the client, without the network; each feature compared with none.

The counterpart of `server_path`: 64 tasks make one call after the other. A batch begins with the
replies to all their calls, as bytes, and ends when all have sent their next one; only the socket is
missing.

`python tests/benchmarks/client_path.py [ROUNDS]` measures this alone.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

import recording
import typed
import with_auth
from no_socket import IN_FLIGHT, connected, deliver, frame, table, taken
from weenats.codec.operations import OperationCodec
from weenats.context import RequestContext
from weenats.protocol.identifiers import STAMPER
from weenats.telemetry import TelemetrySettings
from workload import CONFIRMATION, KEY, ORDER

_NO_TRACES: Final = TelemetrySettings(sampling={"commands": 0})

Batch = Callable[[], Awaitable[float]]


async def batch(derive: Callable[[typed.OrdersClient], typed.OrdersClient]) -> Batch:
    """Make a client without a socket; return what makes a batch of calls, in seconds a call."""
    connection, transport = connected()
    mux = transport._inbox.mux
    inbox = connection.register(mux.wildcard, "", mux.on_delivery)
    transport._inbox.interest = inbox
    client = derive(typed.OrdersClient(transport))
    order, reply = typed.CreateOrder.model_validate(ORDER), _reply()
    calls: list[asyncio.Task[None]] = []

    async def call() -> None:
        while True:
            await client.create_order(KEY, order)

    async def make() -> float:
        subjects = [subject.encode() for subject in mux._pending]
        replies = b"".join([frame(each, inbox.sid, b"", b"", reply) for each in subjects])
        connection._pending.clear()
        before = perf_counter()
        await deliver(connection, replies)
        while len(connection._pending) < IN_FLIGHT:
            if any(each.done() for each in calls):
                raise ValueError("a call has failed")
            await asyncio.sleep(0)
        connection._hand_over()
        return (perf_counter() - before) / IN_FLIGHT

    calls += [asyncio.create_task(call()) for _ in range(IN_FLIGHT)]
    await asyncio.sleep(0)
    await make()
    return make


def _reply() -> bytes:
    """Return the reply of the service."""
    message_id, timestamp = STAMPER.stamp()
    request = RequestContext(
        side="server",
        operation=typed.CREATE_ORDER,
        key=KEY,
        payload=None,
        message_id=message_id,
        timestamp=timestamp,
        correlation_id=STAMPER.new_id(),
    )
    confirmation = typed.Confirmation.model_validate(CONFIRMATION)
    return OperationCodec(typed.CREATE_ORDER).encode_success(confirmation, 0.1, request)


async def _measure(rounds: int) -> dict[str, list[float]]:
    recording.record()
    token = with_auth.new_token()
    batches = {
        "weenats": await batch(lambda client: client),
        "with_token": await batch(lambda client: client.with_token(token)),
        "everything on, sampled out": await batch(
            lambda client: client.with_token(token).with_telemetry(_NO_TRACES)
        ),
        "everything on, spans recorded": await batch(
            lambda client: client.with_token(token).with_telemetry()
        ),
    }
    return await taken(batches, rounds)


def measure(rounds: int) -> str:
    """Return a table of what each feature costs."""
    return table("client", asyncio.run(_measure(rounds)))


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if sys.argv[1:] else 600))
