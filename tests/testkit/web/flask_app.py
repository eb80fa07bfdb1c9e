"""A Flask application whose views call with the synchronous client of the process."""

from __future__ import annotations

import os

from flask import Flask, Response, jsonify

from receipts import ReceiptsSyncClient

receipts = ReceiptsSyncClient.connect(os.environ["NATS_URL"], timeout=30)
app = Flask(__name__)


@app.get("/sync/<key>")
def show(key: str) -> Response:
    """Answer in the thread of the request."""
    return jsonify(pid=os.getpid(), total=receipts.get_receipt(key).state.total)


@app.get("/async/<key>")
async def show_async(key: str) -> Response:
    """Answer on an event loop that Flask makes for the request."""
    return jsonify(pid=os.getpid(), total=receipts.get_receipt(key).state.total)
