"""Both clients in the kernel of a notebook, which runs an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import pytest
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from typing_extensions import override

from receipts import AddItem, Receipt, ReceiptsClient
from receipts.handlers import Receipts
from testkit.processes import python_environment
from testkit.waiting import LIMIT
from weenats import NatsServiceBuilder, RequestContext

pytestmark = pytest.mark.servers
CONNECT: Final = """
    import os
    from receipts import AddItem, ReceiptsClient, ReceiptsSyncClient
    sync = ReceiptsSyncClient.connect(os.environ["NATS_URL"], timeout=30)
    client = ReceiptsClient.connect(os.environ["NATS_URL"], timeout=30)
    tea = AddItem(name="Tea", price=0.1, quantity=3)
"""


class Hanging(Receipts):
    """Adds the item `Never` never, and notes when a call begins and when it is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.cancelled = asyncio.Event()

    @override
    async def add_item(self, key: str, command: AddItem, context: RequestContext) -> Receipt:
        if command.name == "Never":
            self.began.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        return await super().add_item(key, command, context)


@pytest.fixture
async def handlers(nats_url: str) -> AsyncIterator[Hanging]:
    """The handlers of the running sample."""
    handlers = Hanging()
    async with NatsServiceBuilder(handlers, nats_url).build():
        yield handlers


@pytest.fixture
async def kernel(
    nats_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[AsyncKernelManager]:
    """A kernel that runs."""
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    manager = AsyncKernelManager()
    await manager.start_kernel(env=python_environment(NATS_URL=nats_url), cwd=str(tmp_path))
    try:
        yield manager
    finally:
        await manager.shutdown_kernel(now=True)


@pytest.fixture
async def notebook(kernel: AsyncKernelManager) -> AsyncIterator[AsyncKernelClient]:
    """What runs cells in the kernel."""
    client: AsyncKernelClient = kernel.client()
    client.start_channels()
    try:
        await client.wait_for_ready(LIMIT)
        yield client
    finally:
        client.stop_channels()


async def run(notebook: AsyncKernelClient, cell: str) -> dict[str, Any]:
    """Run a cell, and return the reply of the kernel."""
    reply = await notebook.execute_interactive(
        dedent(cell), timeout=LIMIT, output_hook=lambda _: None
    )
    content: dict[str, Any] = reply["content"]
    return content


async def test_cells_use_both_clients(
    notebook: AsyncKernelClient, handlers: Hanging, nats_url: str
) -> None:
    """Cells call with the synchronous client, and await the other one, over several cells."""
    for cell in (
        CONNECT,
        'assert sync.add_item("r-1", tea).total == 0.3',
        'assert (await client.get_receipt("r-1")).state.total == 0.3',
        'assert (await client.add_item("r-1", tea)).total == sync.get_receipt("r-1").state.total',
        "sync.close(); await client.close()",
    ):
        reply = await run(notebook, cell)
        assert reply["status"] == "ok", reply
    async with ReceiptsClient.connect(nats_url) as receipts:
        assert (await receipts.get_receipt("r-1")).revision == 2


@pytest.mark.parametrize("call", ["sync", "await client"])
async def test_interrupting_the_kernel_ends_the_call(
    call: str, kernel: AsyncKernelManager, notebook: AsyncKernelClient, handlers: Hanging
) -> None:
    """An interrupt ends the cell and the call, also in the service; later cells go on."""
    await run(notebook, CONNECT)
    hanging = f'{call}.add_item("r-1", AddItem(name="Never", price=1, quantity=1))'
    cell = asyncio.create_task(run(notebook, hanging))
    async with asyncio.timeout(LIMIT):
        await handlers.began.wait()
        await kernel.interrupt_kernel()
        await handlers.cancelled.wait()
    reply = await cell
    assert (reply["status"], reply["ename"]) in {
        ("error", "KeyboardInterrupt"),
        ("error", "CancelledError"),
    }
    assert (await run(notebook, 'assert sync.add_item("r-1", tea).total == 0.3'))["status"] == "ok"
