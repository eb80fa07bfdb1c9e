"""Peer: FastAPI on uvicorn, called with aiohttp."""

import asyncio

import aiohttp
import uvicorn
from fastapi import FastAPI

import addresses
from by_hand import Confirmation, CreateOrder, Request, confirm
from harness import Call
from workload import CONFIRMATION, KEY, ORDER

_running: list[asyncio.Task[None]] = []


async def serve(url: str) -> None:
    """Validate, handle, answer: FastAPI does it."""
    app = FastAPI()

    @app.post("/orders")
    async def create_order(request: Request) -> Confirmation:
        return confirm(request.order)

    listener = addresses.listener()
    config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    _running.append(asyncio.create_task(server.serve(sockets=[listener])))
    await addresses.offer(url, "fastapi", listener.getsockname()[1])


async def connect(url: str) -> Call:
    """Send, validate the answer."""
    port = await addresses.find(url, "fastapi")
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    request = Request(key=KEY, order=CreateOrder.model_validate(ORDER))
    headers = {"content-type": "application/json"}

    async def place() -> Confirmation:
        body = request.model_dump_json()
        url = f"http://127.0.0.1:{port}/orders"
        async with session.post(url, data=body, headers=headers) as response:
            return Confirmation.model_validate_json(await response.read())

    async def call() -> None:
        await place()

    if (await place()).model_dump() != CONFIRMATION:
        raise ValueError("unexpected reply")
    return call
