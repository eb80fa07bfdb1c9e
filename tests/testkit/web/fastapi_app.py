"""A FastAPI application with an async client in its lifespan, and a synchronous one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from receipts import ReceiptsClient, ReceiptsSyncClient

receipts = ReceiptsSyncClient.connect(os.environ["NATS_URL"], timeout=30)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Connect the client of a worker on the event loop of its requests."""
    async with ReceiptsClient.connect(os.environ["NATS_URL"], timeout=30) as client:
        app.state.receipts = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/sync/{key}")
def show(key: str) -> dict[str, float]:
    """Answer in a thread of FastAPI's pool."""
    return {"pid": os.getpid(), "total": receipts.get_receipt(key).state.total}


@app.get("/async/{key}")
async def show_async(key: str) -> dict[str, float]:
    """Answer on the event loop of the server."""
    entity = await app.state.receipts.get_receipt(key)
    return {"pid": os.getpid(), "total": entity.state.total}
