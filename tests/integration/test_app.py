"""The sample application as a process of its own: `python -m receipts.app`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import time
from typing import Any

import pytest

from receipts import AddItem, Finalize, ReceiptsClient
from testkit.http_server import HttpServer, answer
from testkit.otlp_receiver import otlp_receiver
from testkit.processes import async_child_process, python_environment
from testkit.tokens import good_claims, jwk, private_key, signed
from weenats import ServiceError, UnauthenticatedError, UnavailableError

COFFEE = AddItem(name="Coffee", price=4.5, quantity=2)


def token() -> str:
    """Return a token for ada, signed by the issuer."""
    now = int(time())
    claims = good_claims(iat=now, exp=now + 600, sub="ada")
    return signed({"alg": "EdDSA", "typ": "JWT", "kid": "k"}, claims, private_key())


@pytest.fixture
def issuer() -> Iterator[HttpServer]:
    """An HTTP server that publishes the issuer's keys."""
    server = HttpServer()
    keys = [jwk(private_key(), kid="k", use="sig")]
    server.behaviour = answer(json.dumps({"keys": keys}).encode())
    yield server
    server.stop()


@asynccontextmanager
async def running(nats_url: str, **settings: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Run the sample until SIGTERM; yield its log records."""
    log: list[dict[str, Any]] = []
    serving = asyncio.Event()

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            log.append(json.loads(line))
            assert not log[-1]["message"].endswith(" on asyncio")  # uvloop is installed
            if "is running" in log[-1]["message"]:
                serving.set()

    async with async_child_process(
        *(sys.executable, "-W", "error", "-m", "receipts.app"),
        env=python_environment(NATS_URL=nats_url, **settings),
        stderr=asyncio.subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        reading = asyncio.create_task(read(process.stderr))
        await serving.wait()
        yield log
        process.send_signal(signal.SIGTERM)
        status = await process.wait()
        await reading
        assert status == 0, log


async def test_sample_app_end_to_end(nats_url: str, issuer: HttpServer) -> None:
    """Authentication, logs, traces, metrics, health checks and discovery work together."""
    with otlp_receiver() as otlp:
        settings = {
            "WEENATS_JWKS_URI": issuer.uri,
            "WEENATS_ISSUER": "https://issuer.example",
            "WEENATS_EXPORTER_URL": otlp.url,
        }
        async with (
            running(nats_url, **settings) as log,
            ReceiptsClient.connect(nats_url) as anybody,
        ):
            with pytest.raises(UnauthenticatedError):
                await anybody.add_item("r-1", COFFEE)
            with pytest.raises(UnauthenticatedError):
                await anybody.with_token("forged").add_item("r-1", COFFEE)
            ada = anybody.with_token(token())
            assert (await ada.add_item("r-1", COFFEE)).total == 9.0
            assert (await ada.finalize("r-1", Finalize())).status == "closed"
            health = await anybody.check_health()
            assert health.status == "ok"
            (stats,) = await anybody.list_instances()
            assert stats.name == "receipts"
    audited = [record for record in log if record["logger"] == "__main__"]
    done = [record for record in audited if record["message"].startswith("done: ")]
    assert [record["message"].split(" in ")[0] for record in done] == [
        "done: add-item of ada",
        "done: finalize of ada",
    ]
    assert all(record["trace_id"] and record["principal"] == "ada" for record in done)
    names = [span.name for span in otlp.spans]
    assert names.count("receipts/add-item") == 3
    assert "close receipt" in names
    assert "rpc.server.call.duration" in otlp.metric_names


@pytest.mark.slow
async def test_retried_message_gets_the_stored_reply(nats_url: str) -> None:
    """A retry of finalize gets the stored reply; a second finalize is rejected."""
    async with (
        running(nats_url) as log,
        ReceiptsClient.connect(nats_url) as receipts,
    ):
        await receipts.add_item("r-1", COFFEE)
        seen: list[str] = []

        async def lose(context: Any, call_next: Any) -> Any:
            response = await call_next(context)
            seen.append(context.message_id)
            if len(seen) == 1:
                raise UnavailableError("the answer was lost")
            return response

        trying = receipts.with_retry(attempts=2, initial_backoff=0.001).with_interceptor(lose)
        assert (await trying.finalize("r-1", Finalize())).status == "closed"
        assert len(seen) == 2
        assert seen[0] == seen[1]
        with pytest.raises(ServiceError, match="status"):
            await receipts.finalize("r-1", Finalize())
    warned = [record["message"] for record in log if record["level"] == "WARNING"]
    assert warned == ["WEENATS_JWKS_URI is not set: callers are not authenticated"]
