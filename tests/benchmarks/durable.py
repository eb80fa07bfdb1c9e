"""What the JetStream contenders carry, and the table of what they reach.

Publish: a call stores one event. Consume: a call processes a batch of stored events, each one
acknowledged. Commit: a call is a command, whose event and reply are stored in one message before
the reply is sent.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from statistics import median
from typing import Final
from uuid import uuid4

from nats.aio.client import Client
from nats.errors import TimeoutError as NoAnswerError
from nats.js.errors import APIError

from calls import Plan, Samples, cpu_ratio, ratio
from harness import Call, Pair
from report import Table, Value
from weenats.testing import NatsCluster

KEYS: Final = 1_000
PARTITIONS: Final = 16
FILL: Final = 10_000
"""Events that are stored before they are consumed; then they are consumed anew."""
BATCH: Final = 500
"""Events of one call to consume."""
IN_FLIGHT: Final = (1, 32)
_RAW: Final = {"durable_raw": "raw nats-py"}
_OURS: Final = {"durable_typed": "weenats"}
CONTENDERS: Final = {
    "publish": _RAW | _OURS,
    "consume": _RAW | {"durable_ordered": "raw nats-py, in order per key"} | _OURS,
    "commit": _RAW | {"durable_by_hand": "by hand, the same guarantees"} | _OURS,
}
_REPLICAS: Final = 3
_REPLICATED: Final = _RAW | _OURS
"""Contenders whose commits three servers keep."""


def new_keys() -> Iterator[str]:
    """Return keys in turn, for ever, which no other process uses."""
    unique = uuid4().hex[:8]
    return cycle([f"order-{unique}-{number}" for number in range(KEYS)])


async def once_each(call: Call) -> None:
    """Call once for each key: what is measured then are keys that the service knows."""
    calls = iter(range(KEYS))

    async def caller() -> None:
        for _ in calls:
            await call()

    await asyncio.gather(*(caller() for _ in range(max(IN_FLIGHT))))


def table(plan: Plan, in_flight: Sequence[int] = IN_FLIGHT) -> Table:
    """Measure what weenats does with JetStream beside raw nats-py.

    Args:
        plan: how.
        in_flight: how many calls at a time; a consumer makes one.
    """
    columns = [
        *(("what", ""), ("in flight", "d"), ("contender", ""), ("per s", ",.0f")),
        *(("x raw", ".2f"), ("p50 ms", ".2f"), ("client us", ".0f"), ("service us", ".0f")),
        *(("servers us", ".0f"), ("CPU x raw", ".2f")),
    ]
    rows: list[Sequence[Value]] = []
    for what, names in CONTENDERS.items():
        numbers = (1,) if what == "consume" else in_flight
        pairs = [Pair(f"{name}@{what}", plan.url, plan.loop, shown=name) for name in names]
        samples = plan.run(pairs, numbers)
        rows += [_row(what, number, names, name, samples) for number in numbers for name in names]
    samples, what = _replicated(plan, in_flight), "commit, three replicas"
    rows += [
        _row(what, number, _REPLICATED, name, samples)
        for number in in_flight
        for name in _REPLICATED
    ]
    return Table("JetStream, 1,000 keys", columns, rows)


def _replicated(plan: Plan, in_flight: Sequence[int]) -> Samples:
    with NatsCluster(_REPLICAS) as cluster:
        processes = [each.process_id for each in cluster.servers]
        there = replace(plan, url=cluster.urls[0], servers=processes)
        pairs = [
            Pair(f"{name}@commit@{_REPLICAS}", there.url, there.loop, shown=name)
            for name in _REPLICATED
        ]
        return there.run(pairs, in_flight)


async def add_stream(connection: Client, name: str, subject: str, replicas: str = "1") -> None:
    """Create a stream; with replicas, the server of this connection leads it, for all alike."""
    jetstream = connection.jetstream()
    while True:
        with suppress(APIError, NoAnswerError):  # the cluster has just started
            await jetstream.add_stream(name=name, subjects=[subject], num_replicas=int(replicas))
            break
        await asyncio.sleep(0.1)
    await lead(connection, name)


async def lead(connection: Client, stream: str) -> None:
    """Let the server of this connection lead a stream: how far others are is a matter of luck."""
    server = str(connection._server_info["server_name"])
    jetstream, order = connection.jetstream(), {"placement": {"preferred": server}}
    while (cluster := (await jetstream.stream_info(stream)).cluster) and cluster.replicas:
        if cluster.leader == server:
            return
        with suppress(NoAnswerError):
            subject = f"$JS.API.STREAM.LEADER.STEPDOWN.{stream}"
            await connection.request(subject, json.dumps(order).encode())
        await asyncio.sleep(0.3)


def _row(
    what: str, number: int, names: dict[str, str], name: str, samples: Samples
) -> Sequence[Value]:
    size = BATCH if what == "consume" else 1
    taken = [replace(each, calls=each.calls * size) for each in samples[number, name]]
    return (
        *(what, number, names[name], median(each.rate for each in taken)),
        ratio(samples, number, name, next(iter(_RAW))),
        median(each.p50 for each in taken) / size * 1e3,
        median(each.client_cpu / each.calls for each in taken) * 1e6,
        median(each.server_cpu / each.calls for each in taken) * 1e6,
        median(each.nats_cpu / each.calls for each in taken) * 1e6,
        cpu_ratio(samples, number, name, next(iter(_RAW))),
    )
