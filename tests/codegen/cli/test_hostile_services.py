"""What other parties answer to discovery and calls, which the command line only displays."""

from __future__ import annotations

import asyncio

import nats
import pytest

from testkit.micro import micro, pretend
from weenats.testing import NatsServer
from weenats_codegen.cli.main import main

ACCOUNTS = """
authorization { users: [
    {user: victim, password: v}
    {user: evil, password: e, permissions: {publish: {deny: ["admin.>"]}}}
] }
"""
SMUGGLED = "x 12 12\r\nNATS/1.0\r\n\r\n\r\nPUB admin.delete 5\r\npwned\r\nHPUB y"


async def weenats(*arguments: str) -> int:
    """Run a command beside the tasks of the test."""
    return await asyncio.to_thread(main, list(arguments))


@pytest.mark.parametrize("subject", [SMUGGLED, "admin.delete", "receipts.command.receipt.clear"])
async def test_call_publishes_to_no_subject_of_others(
    capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    """A user that may answer INFO cannot make callers publish elsewhere in their own name."""
    with NatsServer(config=ACCOUNTS) as server:
        host = server.url.removeprefix("nats://")
        own = f"nats://victim:v@{host}"
        arrived: list[str] = []

        async def on_message(message: nats.aio.msg.Msg) -> None:
            arrived.append(message.subject)

        admin = await nats.connect(own)
        for wildcard in ("admin.>", "receipts.>", "x.>", "y.>"):
            await admin.subscribe(wildcard, cb=on_message)
        await admin.flush()
        answers = micro(endpoint={"subject": subject})
        async with pretend(f"nats://evil:e@{host}", answers):
            assert await weenats("call", "receipts", "get", "k", "--servers", own) == 1
        await admin.flush()
        await admin.close()
    assert arrived == []
    assert "as the subject of get, which it is not" in capsys.readouterr().err
