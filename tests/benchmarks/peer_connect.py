"""Peer: connectrpc with Protocol Buffers, on uvicorn."""

import asyncio
from collections.abc import Mapping
from typing import Any

import uvicorn
from connectrpc.client import ConnectClient
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_codecs
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint

import addresses
from harness import Call
from protobuf_orders import Confirmation, Request, check, confirmed
from workload import KEY, ORDER

METHOD: Any = MethodInfo(
    name="CreateOrder",
    service_name="bench.Orders",
    input=Request,
    output=Confirmation,
    idempotency_level=IdempotencyLevel.UNKNOWN,
    stream_type=StreamType.UNARY,
)
_running: list[asyncio.Task[None]] = []


class Orders:
    """The service."""

    async def create_order(self, request: Any, _: Any) -> Any:
        """The handler."""
        return confirmed(request)


class App(ConnectASGIApplication[Orders]):
    """What generated code adds: where the service is."""

    @property
    def path(self) -> str:
        """The path of the service."""
        return "/bench.Orders"


def endpoints(service: Orders) -> Mapping[str, Endpoint]:
    """Return the routes."""
    return {"/bench.Orders/CreateOrder": Endpoint.unary(METHOD, service.create_order)}


async def serve(url: str) -> None:
    """Parse, handle, answer."""
    app: Any = App(
        service=Orders(), endpoints=endpoints, compressions=(), codecs=google_protobuf_codecs()
    )
    listener = addresses.listener()
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
    )
    _running.append(asyncio.create_task(server.serve(sockets=[listener])))
    await addresses.offer(url, "connect", listener.getsockname()[1])


async def connect(url: str) -> Call:
    """Send, parse the answer."""
    port = await addresses.find(url, "connect")
    client = ConnectClient(
        f"http://127.0.0.1:{port}",
        codec=google_protobuf_binary_codec(),
        send_compression=None,
        accept_compression=(),
    )
    request = Request(key=KEY, order=ORDER)

    async def call() -> None:
        await client.execute_unary(request=request, method=METHOD, timeout_ms=5000)

    check(await client.execute_unary(request=request, method=METHOD, timeout_ms=5000), ORDER)
    return call
