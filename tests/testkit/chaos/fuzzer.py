"""A client that sends malformed messages, and counts those that must be answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from testkit.chaos.frames import Frame
from testkit.chaos.mutations import mutated
from testkit.chaos.raw_nats import RawNats
from testkit.chaos.templates import OPERATIONS
from weenats.protocol.subjects import is_inbox

ODD_REPLIES: Final = (
    "", "$SRV.PING", "receipts.cancel", "receipts.health", "receipts.monitoring", "a..b", "a.*",
    ">", "x" * 2000, "é.é", "_INBOX.nobody.1", ".", "receipts.events.receipt.item-added",
    *OPERATIONS,
)  # fmt: skip
_ODD: Final = 0.05
_PATIENCE: Final = 30.0


class Fuzzer:
    """Sends malformed messages and waits until those that need an answer have one.

    Args:
        nats: its connection.
        random: the source of randomness.
        answering: the subjects on which each message is answered.

    Attributes:
        requests: how many messages went to operations.
        failed: how many of them were answered with an error, or dropped since their reply subject
            is no inbox.
        unseen: how many of them were answered to another subject.
    """

    def __init__(self, nats: RawNats, random: Random, answering: Sequence[str]) -> None:
        self._nats = nats
        self._random = random
        self._answering = frozenset(answering)
        self._awaited: dict[str, Frame] = {}
        self._answered = asyncio.Event()
        self._number = 0
        self.requests = 0
        self.failed = 0
        self.unseen = 0
        nats.on_message = self._on_reply
        nats.listen("fuzz.>")

    async def send(self, templates: Sequence[Frame], count: int) -> None:
        """Send some messages.

        Raises:
            TimeoutError: some are not answered; it names them.
        """
        frames = [self._spoilt(self._random.choice(templates)) for _ in range(count)]
        self._answered.clear()
        await self._nats.send(*frames)
        try:
            async with asyncio.timeout(_PATIENCE):
                while self._awaited:
                    await self._answered.wait()
        except TimeoutError:
            raise TimeoutError(f"not answered: {list(self._awaited.values())[:3]}") from None

    def _spoilt(self, template: Frame) -> Frame:
        self._number += 1
        reply = f"fuzz.{self._number}"
        if self._random.random() < _ODD:
            reply = self._random.choice(ODD_REPLIES)
        frame = mutated(replace(template, reply=reply), self._random)
        if frame.subject in OPERATIONS:
            self.requests += 1
            self.failed += not is_inbox(frame.reply)
            self.unseen += is_inbox(frame.reply) and not frame.reply.startswith("fuzz.")
        if frame.subject in self._answering and frame.reply.startswith("fuzz."):
            self._awaited[frame.reply] = frame
        return frame

    def _on_reply(self, subject: str, _: str, payload: bytes) -> None:
        frame = self._awaited.pop(subject, None)
        if frame is not None and frame.subject in OPERATIONS:
            self.failed += not json.loads(payload)["success"]
        if not self._awaited:
            self._answered.set()
