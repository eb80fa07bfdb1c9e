"""Clients in the workers of web servers: each worker has a connection of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import pytest

from receipts import AddItem, ReceiptsClient
from receipts.handlers import Receipts
from testkit.processes import child_process, python_environment
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder

pytestmark = pytest.mark.servers
GUNICORN: Final = ("gunicorn", "--workers=2", "--bind=fd://{fd}", "--graceful-timeout=10")
UVICORN: Final = ("uvicorn", "--workers=2", "--fd={fd}")
UVICORN_WORKER: Final = ("--worker-class=uvicorn_worker.UvicornWorker",)
SERVERS: Final = {
    "flask": (*GUNICORN, "testkit.web.flask_app:app"),
    "flask-preload": (*GUNICORN, "--preload", "testkit.web.flask_app:app"),
    "flask-threads": (*GUNICORN, "--threads=4", "testkit.web.flask_app:app"),
    "django": (*GUNICORN, "testkit.web.django_app:wsgi"),
    "django-preload": (*GUNICORN, "--preload", "testkit.web.django_app:wsgi"),
    "django-asgi": (*GUNICORN, *UVICORN_WORKER, "testkit.web.django_app:asgi"),
    "fastapi": (*GUNICORN, *UVICORN_WORKER, "testkit.web.fastapi_app:app"),
    "fastapi-uvicorn": (*UVICORN, "testkit.web.fastapi_app:app"),
}


@pytest.fixture
async def receipts(nats_url: str) -> AsyncIterator[ReceiptsClient]:
    """A client of the running sample, which has the receipt r-1."""
    async with (
        NatsServiceBuilder(Receipts(), nats_url).build(),
        ReceiptsClient.connect(nats_url) as client,
    ):
        await client.add_item("r-1", AddItem(name="Tea", price=0.1, quantity=3))
        yield client


@contextmanager
def served(server: str, url: str, log: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a web server on a socket that listens already."""
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("w") as stream:
        words = [word.format(fd=listener.fileno()) for word in SERVERS[server]]
        process = child_process(
            [sys.executable, "-m", *words],
            env=python_environment(NATS_URL=url, PYTHONDONTWRITEBYTECODE="1"),
            cwd=log.parent,
            pass_fds=[listener.fileno()],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        with process as child:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", child


def fetch(url: str) -> dict[str, Any]:
    """Return the JSON at a URL; each call has a connection of its own."""
    with urlopen(url, timeout=LIMIT) as response:  # noqa: S310 - a server of this test
        found: dict[str, Any] = json.load(response)
        return found


@pytest.mark.parametrize("server", SERVERS)
async def test_workers_call_a_service(
    server: str, receipts: ReceiptsClient, nats_url: str, tmp_path: Path
) -> None:
    """Sync and async views of all workers get answers, and the server ends in good order."""
    log = tmp_path / "server.log"
    with served(server, nats_url, log) as (address, child):
        for kind in ("sync", "async"):
            workers: set[int] = set()
            async with asyncio.timeout(2 * LIMIT):
                while len(workers) < 2:
                    calls = [asyncio.to_thread(fetch, f"{address}/{kind}/r-1") for _ in range(8)]
                    answers = await asyncio.gather(*calls)
                    assert {answer["total"] for answer in answers} == {0.3}
                    workers |= {answer["pid"] for answer in answers}
        child.send_signal(signal.SIGTERM)
        await asyncio.to_thread(child.wait, LIMIT)
    assert child.returncode in {0, -signal.SIGTERM}, log.read_text()
    assert "Traceback" not in log.read_text()
    assert (await receipts.get_receipt("r-1")).revision == 1
