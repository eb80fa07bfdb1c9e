"""Tasks that go on when the request that began them has ended."""

from __future__ import annotations

import asyncio

from weenats._internal.background import Background


async def test_close_waits_and_then_cancels() -> None:
    """What ends in time is waited for; the rest is cancelled."""
    background, opened, outcomes = Background(), asyncio.Event(), list[str]()

    async def work(name: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
            outcomes.append(name)
        except asyncio.CancelledError:
            outcomes.append(f"{name} was cancelled")
            raise

    await background.close(1)  # without tasks
    background.run(work("first", opened))
    background.run(work("second", asyncio.Event()))
    await asyncio.sleep(0)
    opened.set()
    await background.close(0.01)
    await asyncio.sleep(0)
    assert outcomes == ["first", "second was cancelled"]
