"""The ports of peers that are not clients of NATS: their clients ask for them over NATS."""

import socket

import nats
from nats.aio.msg import Msg


def listener() -> socket.socket:
    """Return a socket that listens on a free port."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


async def offer(url: str, name: str, port: int) -> None:
    """Tell clients the port."""
    connection = await nats.connect(url)

    async def answer(message: Msg) -> None:
        await message.respond(str(port).encode())

    await connection.subscribe(f"bench.port.{name}", cb=answer)
    await connection.flush()


async def find(url: str, name: str) -> int:
    """Return the port of a server."""
    connection = await nats.connect(url)
    message = await connection.request(f"bench.port.{name}", timeout=5)
    await connection.close()
    return int(message.data)
