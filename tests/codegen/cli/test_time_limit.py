"""A limit of time for what is done with texts of other parties."""

from __future__ import annotations

import json
import re
import signal
import sys
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from testkit import shops
from testkit.discovery import ExpectAnswers
from testkit.foreign_service import foreign_service, micro
from weenats_codegen.cli import running_contracts
from weenats_codegen.cli.main import main
from weenats_codegen.cli.time_limit import time_limit

if TYPE_CHECKING:
    from types import FrameType


def test_block_that_takes_too_long() -> None:
    """It ends with an error, and the signal is as it was before."""
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeoutError, match=r"it takes longer than 0\.01 s"), time_limit(0.01):
        signal.pause()
    assert signal.getsignal(signal.SIGALRM) is before


def test_signal_in_a_finalizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python ignores it there: nothing is printed, and the next signal ends the block."""
    reported: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: reported.append(ignored.exc_type))

    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGALRM)

    class Broken:
        def __del__(self) -> None:
            raise KeyError

    def work() -> None:
        Interrupted()
        Broken()
        assert reported == [KeyError]
        signal.raise_signal(signal.SIGALRM)

    with pytest.raises(TimeoutError), time_limit(1000):
        work()
    Broken()
    assert reported == [KeyError, KeyError]


def test_signal_while_a_block_begins_or_ends() -> None:
    """At whatever instruction it comes, the block ends, and nothing is struck afterwards."""
    before = signal.getsignal(signal.SIGALRM), sys.unraisablehook, sys.gettrace()
    own = sys._getframe()
    left = 0

    def strike(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        if frame is not own and event == "opcode":
            left -= 1
            if left == 0 and signal.getsignal(signal.SIGALRM) is not before[0]:
                signal.raise_signal(signal.SIGALRM)
        return strike

    struck = 1
    while left <= 0:
        left = struck
        sys.settrace(strike)
        try:
            with time_limit(1000):
                pass
        finally:
            sys.settrace(before[2])
        after = signal.getsignal(signal.SIGALRM), sys.unraisablehook, sys.gettrace()
        assert after == before
        struck += 1
    assert struck > 20


def test_block_that_ends_in_time() -> None:
    """Nothing happens, also in another thread, where there is no limit."""
    done: list[bool] = []

    def work() -> None:
        with time_limit(60):
            done.append(True)

    work()
    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True, True]


def test_limit_around_another() -> None:
    """A limit that was set before goes on afterwards, and one of others comes once, as it would."""
    _, interval = signal.getitimer(signal.ITIMER_REAL)  # that of pytest-timeout
    with time_limit(1000):
        with time_limit(500):
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 500
        assert 500 < signal.getitimer(signal.ITIMER_REAL)[0] <= 1000
    assert signal.getitimer(signal.ITIMER_REAL)[1] == interval


def test_contract_that_takes_forever(
    nats_url: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    expect_answers: ExpectAnswers,
) -> None:
    """A contract that is too large to be read in time is not compared."""
    monkeypatch.setattr(running_contracts, "MAX_SECONDS", 0.2)
    expect_answers(1)
    count = 15_000
    chain = {f"a{n}": {"properties": {"x": {"$ref": f"#/$defs/a{n + 1}"}}} for n in range(count)}
    document = shops.contract(shops.OLD) | {"$defs": {**chain, f"a{count}": True}}
    document["commands"]["order"]["payload"] = {"$ref": "#/$defs/a0"}
    answers = micro("shop", "i1", identity={"metadata": {"contract": "sha256:x"}})
    answers["shop.instance.i1.contract"] = json.dumps(document).encode()
    with foreign_service(nats_url, answers, name="shop"):
        folder = str(shops.folder() / shops.OLD)
        assert main(["check", folder, "--against", nats_url]) == 2
    out = capsys.readouterr().out
    assert re.search(r"its contract cannot be (read|compared): it takes longer than 0\.2 s", out)
