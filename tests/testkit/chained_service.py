"""Services with one command, for calls that go through several services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from testkit.probe import THING, Outcome, Run
from weenats import (
    CallOptions,
    Command,
    Endpoint,
    RequestContext,
    ServiceClient,
    ServiceContract,
    ServiceHandlers,
)
from weenats.transport import Transport

Handle = Callable[[RequestContext], Awaitable[None]]


class ChainedService(ServiceHandlers):
    """A service with its own name whose command calls `handle`."""

    def __init__(self, name: str, handle: Handle, timeout: float | None = None) -> None:
        self.contract = ServiceContract(  # type: ignore[misc]  # each hop has its own
            name=name, version="1.0.0", description="A hop.", digest="sha256:hop"
        )
        self.operation: Command[Run, Outcome] = Command(
            name="run",
            contract=self.contract,
            aggregate=THING,
            payload=Run,
            result=Outcome,
            timeout=timeout,
            description="Do as told.",
        )
        self.handle = handle
        self.seen: list[RequestContext] = []

    async def run(self, key: str, command: Run, context: RequestContext) -> Outcome:
        """Record the context and call `handle`."""
        self.seen.append(context)
        await self.handle(context)
        return Outcome(text=command.action)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the command."""
        return (Endpoint.command(self.operation, self.run),)

    async def call(self, transport: Transport, **options: Any) -> Outcome:
        """Call the command over a connection, with options of the call or of the client."""
        client = ServiceClient(transport)
        if "patience" in options:
            client = client.with_timeout(options.pop("patience"))
        call_options: CallOptions = options  # type: ignore[assignment]
        return await client.execute(self.operation, "k", Run(action="go"), **call_options)
