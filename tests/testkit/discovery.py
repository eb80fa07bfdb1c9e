"""Listings of instances that end without a pause."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testkit.waiting import LIMIT
from weenats.transport.base import Delivery
from weenats.transport.inbox import Arrivals, gather_replies

_END = Delivery("", "", b"", b"NATS/1.0 503\r\n\r\n")
ExpectAnswers = Callable[[int], None]
"""Says with how many answers each listing ends from now on."""


def expecting_answers(monkeypatch: pytest.MonkeyPatch) -> ExpectAnswers:
    """Return a function after whose call listings of this process end with so many answers.

    They wait for those as long as it takes on a busy machine, and for nothing after them.
    """

    def expect(count: int) -> None:
        async def gather(
            arrived: Arrivals, *, timeout: float, quiet: float, accepts: Any
        ) -> list[Delivery]:
            del timeout, quiet
            left = count

            def counted(delivery: Delivery) -> bool:
                nonlocal left
                is_answer: bool = accepts is None or accepts(delivery)
                left -= is_answer
                if not left:
                    arrived.put_nowait(_END)
                return is_answer

            return await gather_replies(arrived, timeout=LIMIT, quiet=LIMIT, accepts=counted)

        monkeypatch.setattr("weenats.transport.nats.gather_replies", gather)

    return expect
