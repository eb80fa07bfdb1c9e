"""Peer: grpc.aio with Protocol Buffers."""

from typing import Any

import grpc

import addresses
from harness import Call
from protobuf_orders import Confirmation, Request, check, confirmed
from workload import KEY, ORDER

METHOD = "/bench.Orders/CreateOrder"
_open: list[Any] = []


async def serve(url: str) -> None:
    """Parse, handle, answer."""

    async def create_order(request: Any, _: Any) -> Any:
        return confirmed(request)

    handler = grpc.unary_unary_rpc_method_handler(
        create_order, Request.FromString, Confirmation.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("bench.Orders", {"CreateOrder": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _open.append(server)
    await addresses.offer(url, "grpc", port)


async def connect(url: str) -> Call:
    """Send, parse the answer."""
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{await addresses.find(url, 'grpc')}")
    method = channel.unary_unary(METHOD, Request.SerializeToString, Confirmation.FromString)
    request = Request(key=KEY, order=ORDER)

    async def call() -> None:
        await method(request, timeout=5)

    check(await method(request, timeout=5), ORDER)
    return call
