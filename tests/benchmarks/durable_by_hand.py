"""Contender "by hand": an event-sourced aggregate as a careful person writes it with nats-py.

It keeps what weenats promises: a command is decided on the state that its events lead to, in order
for each key, and stored once with its event and reply; a repeated command gets the first reply,
also from another instance; a conflict reads the state anew; all events are sent on in their order,
by one instance at a time. It has one aggregate with one command, no snapshots, no limit of the
states that it remembers, no deadline, and no other errors than those of nats-py.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Final
from uuid import uuid4

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, PubAck
from nats.js.errors import BadRequestError, NotFoundError
from pydantic import BaseModel, TypeAdapter, ValidationError

import durable
from by_hand import Confirmation, CreateOrder, Reply, confirm
from harness import Call
from workload import CONFIRMATION, ORDER

COMMITS, COMMAND, EVENT = "bench-hand-commits", "bench-hand.command", "bench-hand.placed"
_WRONG_SEQUENCE: Final = 10071
_RECENT: Final = 16


class Request(BaseModel):
    """The envelope of a command."""

    id: str
    key: str
    order: CreateOrder


class Placed(BaseModel):
    """An event."""

    id: str
    key: str
    revision: int
    timestamp: datetime
    order: CreateOrder


class Commit(BaseModel):
    """What is stored for a command."""

    command: str
    fingerprint: str
    events: list[Placed]
    result: Confirmation


class Account(BaseModel):
    """What a customer has ordered so far."""

    orders: int = 0
    positions: int = 0


@dataclass(slots=True)
class Known:
    """What is known of a key."""

    state: Account = field(default_factory=Account)
    revision: int = 0
    sequence: int = 0
    recent: dict[str, Commit] = field(default_factory=dict[str, Commit])

    def add(self, commit: Commit, sequence: int) -> None:
        """Apply the events of a commit."""
        for event in commit.events:
            self.state = Account(
                orders=self.state.orders + 1,
                positions=self.state.positions + len(event.order.items),
            )
            self.revision = event.revision
        self.sequence = sequence
        self.recent[commit.command] = commit
        if len(self.recent) > _RECENT:
            del self.recent[next(islice(self.recent, 1))]


REQUESTS, COMMIT = TypeAdapter(Request), TypeAdapter(Commit)
ORDERS, EVENTS, REPLIES = TypeAdapter(CreateOrder), TypeAdapter(Placed), TypeAdapter(Reply)


class Accounts:
    """The service."""

    def __init__(self, connection: Client) -> None:
        """Begin without states."""
        self._connection: Client = connection
        self._jetstream: JetStreamContext = connection.jetstream()
        self._known: dict[str, Known] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[None]] = set()

    async def begin(self, message: Msg) -> None:
        """Execute a command in a task."""
        task = asyncio.create_task(self._answer(message))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def pass_on(self, message: Msg) -> None:
        """Send the events of a commit to their subscribers."""
        for event in COMMIT.validate_json(message.data).events:
            await self._connection.publish(EVENT, EVENTS.dump_json(event))
        await message.ack()

    async def _answer(self, message: Msg) -> None:
        try:
            request = REQUESTS.validate_json(message.data)
            reply = Reply(ok=True, confirmation=await self._execute(request))
        except ValidationError:
            reply = Reply(ok=False, error="invalid order")
        await self._connection.publish(message.reply, REPLIES.dump_json(reply, exclude_none=True))

    async def _execute(self, request: Request) -> Confirmation:
        key = request.key
        fingerprint = blake2b(ORDERS.dump_json(request.order), digest_size=16).hexdigest()
        async with self._locks[key]:
            while True:
                known = self._known.get(key) or await self._load(key)
                commit = known.recent.get(request.id)
                if commit is None:
                    commit = self._decide(known, request, fingerprint)
                    try:
                        ack = await self._store(known, commit, key)
                    except BadRequestError as error:
                        if error.err_code != _WRONG_SEQUENCE:
                            raise
                        del self._known[key]  # the state is old
                        continue
                    if ack.duplicate:
                        del self._known[key]
                        commit = await self._read(ack.seq)
                    else:
                        known.add(commit, ack.seq)
                if commit.fingerprint != fingerprint:
                    raise ValueError("another command has this id")
                return commit.result

    @staticmethod
    def _decide(known: Known, request: Request, fingerprint: str) -> Commit:
        event = Placed(
            id=uuid4().hex,
            key=request.key,
            revision=known.revision + 1,
            timestamp=datetime.now(UTC),
            order=request.order,
        )
        return Commit(
            command=request.id,
            fingerprint=fingerprint,
            events=[event],
            result=confirm(request.order),
        )

    async def _store(self, known: Known, commit: Commit, key: str) -> PubAck:
        headers = {
            "Nats-Msg-Id": commit.command,
            "Nats-Expected-Stream": COMMITS,
            "Nats-Expected-Last-Subject-Sequence": str(known.sequence),
        }
        body = COMMIT.dump_json(commit)
        return await self._jetstream.publish(f"{COMMITS}.{key}", body, headers=headers)

    async def _read(self, sequence: int) -> Commit:
        message = await self._jetstream.get_msg(COMMITS, seq=sequence)
        return COMMIT.validate_json(message.data or b"")

    async def _load(self, key: str) -> Known:
        """Return the state that the stored events lead to."""
        known = self._known[key] = Known()
        subject = f"{COMMITS}.{key}"
        while True:
            start = known.sequence + 1
            try:
                message = await self._jetstream.get_msg(
                    COMMITS, seq=start, subject=subject, next=True
                )
            except NotFoundError:
                return known
            known.add(COMMIT.validate_json(message.data or b""), message.seq or 0)


async def serve(url: str, what: str) -> None:
    """Serve commands, and send their events on."""
    del what
    connection = await nats.connect(url)
    jetstream = connection.jetstream()
    await jetstream.add_stream(name=COMMITS, subjects=[f"{COMMITS}.>"])
    accounts = Accounts(connection)
    await jetstream.subscribe(
        f"{COMMITS}.>",
        durable="relay",
        cb=accounts.pass_on,
        manual_ack=True,
        config=ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=200),
    )
    await connection.subscribe(COMMAND, queue="bench", cb=accounts.begin)
    await connection.flush()


async def connect(url: str, what: str) -> Call:
    """Return what sends a command."""
    del what
    connection = await nats.connect(url)
    keys, order = durable.new_keys(), CreateOrder.model_validate(ORDER)

    async def place(key: str, order: CreateOrder) -> Confirmation:
        body = REQUESTS.dump_json(Request(id=uuid4().hex, key=key, order=order))
        message = await connection.request(COMMAND, body, timeout=5)
        reply = REPLIES.validate_json(message.data)
        if reply.confirmation is None:
            raise ValueError(reply.error)
        return reply.confirmation

    async def call() -> None:
        await place(next(keys), order)

    confirmation = await place(next(keys), order)
    if confirmation.model_dump() != CONFIRMATION:
        raise ValueError(f"unexpected reply: {confirmation!r}")
    await durable.once_each(call)
    return call
