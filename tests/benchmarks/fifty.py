"""A service with fifty operations, each with models of its own: what its start takes.

`python tests/benchmarks/fifty.py [ROUNDS]` measures this alone.
"""

import asyncio
import sys
from dataclasses import replace
from statistics import median
from time import process_time
from typing import Any, Final

from pydantic import BaseModel
from typing_extensions import override

import typed
from weenats import Endpoint, NatsServiceBuilder
from weenats.model import Model
from weenats.testing import NatsServer

COUNT: Final = 50


def operations(count: int = COUNT) -> list[Any]:
    """Return commands, none of which shares a model with another one."""
    return [
        replace(
            typed.CREATE_ORDER,
            name=f"create-order-{number}",
            payload=_copy(typed.CreateOrder, Model, number),
            result=_copy(typed.Confirmation, Model, number),
        )
        for number in range(count)
    ]


def _copy(kind: type[Model], base: type[BaseModel], number: int) -> Any:
    members = {"__annotations__": dict(kind.__annotations__), "__module__": kind.__module__}
    return type(f"{kind.__name__}{number}", (base,), members)


class Fifty(typed.Orders):
    """Handlers of these operations."""

    def __init__(self, commands: list[Any]) -> None:
        """Serve these commands."""
        super().__init__()
        self.commands = commands

    @override
    def endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(Endpoint.command(each, self.create_order) for each in self.commands)


async def start_time(url: str) -> float:
    """Return the CPU seconds from the handlers to the running service.

    The waiting for the server is not in them.
    """
    commands = operations()
    before = process_time()
    service = NatsServiceBuilder(Fifty(commands), servers=url).build()
    await service.start()
    seconds = process_time() - before
    await service.stop()
    return seconds


def measure(rounds: int) -> float:
    """Return the median of these times; the first one in a process is the longest."""
    with NatsServer() as server:
        return median(asyncio.run(start_time(server.url)) for _ in range(rounds))


def measure_models() -> float:
    """Return the CPU seconds that pydantic takes for as many models with the same fields."""
    before = process_time()
    for number in range(COUNT):
        _copy(typed.CreateOrder, BaseModel, number)
        _copy(typed.Confirmation, BaseModel, number)
    return process_time() - before


if __name__ == "__main__":
    print(f"{measure(int(sys.argv[1]) if sys.argv[1:] else 5) * 1e3:.0f} ms")
