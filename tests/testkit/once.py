"""The probe with a command that is executed once, in two instances on one server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from typing_extensions import Unpack

from testkit.probe import FORGET, GET, RUN, Outcome, Probe, ProbeClient, Run
from weenats import CallOptions, Endpoint, NatsService, NatsServiceBuilder
from weenats.contract import Command

ONCE: Final[Command[Any, Any]] = replace(RUN, once=60, idempotent=True)
"""Idempotent, so that tests can call it on each instance."""
BUCKET: Final = "KV_probe-once"
CONTRACT: Final = """
service: probe
version: 1.2.3
description: Does as it is told.
aggregates:
  thing:
    state: {type: object}
    commands:
      run: {description: Do as told., payload: {type: object}, once: 60s}
      forget: {description: Answer nothing., payload: {type: object}}
    queries: {get: {description: The thing.}}
"""
"""Its contract, as far as permissions go."""


class OnceProbe(Probe):
    """A probe whose command `run` is executed once for each message id."""

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations."""
        return (
            Endpoint.command(ONCE, self.run),
            Endpoint.command(FORGET, self.forget),
            Endpoint.plain_query(GET, self.get),
        )


class OnceClient(ProbeClient):
    """A client that knows this command."""

    async def run(self, key: str, command: Run, **options: Unpack[CallOptions]) -> Outcome:
        """Do as told."""
        outcome: Outcome = await self.execute(ONCE, key, command, **options)
        return outcome


@dataclass(frozen=True, slots=True)
class Pair:
    """Two instances that serve the same handlers, and a client of each of them."""

    handlers: OnceProbe
    services: list[NatsService]
    clients: list[OnceClient]


@asynccontextmanager
async def two_instances(
    url: str,
    handlers: OnceProbe,
    configure: Callable[[NatsServiceBuilder], NatsServiceBuilder] = lambda builder: builder,
) -> AsyncIterator[Pair]:
    """Run two instances, and a client for each."""
    builder = configure(NatsServiceBuilder(handlers, url))
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(builder.build()) for _ in range(2)]
        client = await stack.enter_async_context(OnceClient.connect(url, verify="off"))
        yield Pair(handlers, services, [client.on_instance(s.instance_id) for s in services])
