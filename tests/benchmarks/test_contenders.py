"""Every contender of the benchmark answers a call, and both sides can be measured alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testkit.processes import python_environment

FOLDER = Path(__file__).parent
PROGRAM = """
import asyncio, importlib, sys
import client_path
import durable
import server_path
from contenders import CONTENDERS

async def call_once(name, url):
    module, *arguments = name.split("@")
    contender = importlib.import_module(module)
    await contender.serve(url, *arguments)
    call = await contender.connect(url, *arguments)
    await call()

shipments = [f"shipments_{kind}@1000" for kind in ("raw", "by_hand", "typed")]
durable.KEYS, durable.FILL, durable.BATCH = 40, 200, 50
stored = [f"{name}@{what}" for what, names in durable.CONTENDERS.items() for name in names]
for name in (*CONTENDERS, *shipments, "events_raw", "events_typed", *stored):
    asyncio.run(call_once(name, sys.argv[1]))
    print(name.partition("@")[0])
print(server_path.measure(1))
print(client_path.measure(1))
"""


@pytest.mark.slow
def test_contenders_answer_a_call(nats_url: str) -> None:
    """What `make bench` measures for minutes runs once, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, nats_url],
        cwd=FOLDER,
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    contenders = {
        path.stem
        for path in FOLDER.glob("*.py")
        if "\nasync def connect(" in path.read_text() and not path.stem.startswith("peer_")
    }
    assert set(done.stdout.split("\n\n")[0].split()) >= contenders
    assert done.stdout.count("everything on, spans recorded") == 2
