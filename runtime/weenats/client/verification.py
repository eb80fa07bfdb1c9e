"""Comparing the contract of a client with the contracts of the running service, on connecting."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from weenats._internal.tasks import retrieve, start_task
from weenats._internal.text import printable
from weenats._internal.threads import run_in_thread
from weenats.discovery import get_contract_document, list_instances
from weenats.errors import (
    DeadlineExceededError,
    IncompatibleContractError,
    InvalidArgumentError,
    NoRespondersError,
)

if TYPE_CHECKING:
    from weenats.context import RequestContext, Response
    from weenats.contract import ServiceContract
    from weenats.interceptors import CallNext
    from weenats.protocol.messages import PingResponse
    from weenats.transport.base import Transport

__all__ = ["Verification", "Verify", "forget_verified"]
_LOG: Final = logging.getLogger("weenats.client")
_ENGINES: Final = "weenats.compatibility"
"""The group of the entry point that compares two documents; weenats_codegen has one."""
_TIMEOUT: Final = 20.0
"""Seconds for everything, the comparison included."""
_MAX_VERSIONS: Final = 5
"""How many different contracts are compared; running services have one, or two in a rollout."""
_MAX_ASKED: Final = 2
"""How many instances with the same contract are asked for it, until one answers."""
_MAX_SHOWN: Final = 3
_MAX_KNOWN: Final = 256
_CORE: Final = r"(?a)(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?![^+])"
"""A version that is not a pre-release, and whose numbers are not absurd."""
Verify = Literal["strict", "warn", "off"]
"""What a client does about a running contract that is not compatible with its own."""
Engine = Callable[[str, bytes, str], Sequence[str]]
"""Takes the document of a client, that of a service and its digest; returns what breaks the client.

It raises ValueError if a document is not valid, or does not have the digest.
"""


class _Running(NamedTuple):
    """A contract that runs, as its instances report it."""

    version: str
    digest: str


_KNOWN: Final[dict[tuple[str, str, _Running], tuple[str, ...]]] = {}
"""What was found in this process, by service and digest of the client; each is logged once."""


def forget_verified() -> None:
    """Forget what was found, so that it is found, and logged, again."""
    _KNOWN.clear()


class Verification:
    """Compares the contract of a client with those of the running instances.

    Clients with the same connection share it.

    Args:
        contract: the contract of the client.
        transport: the connection.
        mode: `strict`: calls wait for the verification and fail if it fails. `warn`: it runs once,
            in the background, and logs a warning.

    Raises:
        InvalidArgumentError: the mode is unknown.
    """

    def __init__(self, contract: ServiceContract, transport: Transport, mode: Verify) -> None:
        if mode not in ("strict", "warn"):  # a list has no hash
            raise InvalidArgumentError(f"verify is 'strict', 'warn' or 'off', not {mode!r}")
        self._contract = contract
        self._transport = transport
        self._is_strict = mode == "strict"
        self._task: asyncio.Task[None] | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether calls wait for it: it is strict and has not succeeded yet."""
        return self._is_strict and not self._has_succeeded()

    async def on_connect(self) -> None:
        """Verify, if it is strict, else start to do so in the background.

        Raises:
            IncompatibleContractError: a running contract is not compatible.
            ServiceError: it is strict, and the contract cannot be verified: no instance is running,
                or NATS denies the request.
        """
        if not self._is_strict:
            self.start()
        elif not self._has_succeeded():
            if self._task is None or self._task.done():
                self._task = start_task(self._verify(), context=Context())
                self._task.add_done_callback(retrieve)
            await asyncio.shield(self._task)

    def start(self) -> None:
        """Start it in the background, unless that was done before."""
        if self._task is None:
            self._task = start_task(self._warn(), context=Context())

    def before(self, call: CallNext) -> CallNext:
        """Return a call that waits for the verification first.

        Args:
            call: the call.
        """

        async def verified(context: RequestContext) -> Response:
            try:
                async with asyncio.timeout(context.remaining):
                    await self.on_connect()
            except TimeoutError:
                name = self._contract.name
                message = f"the contract of {name} was not verified before the deadline of the call"
                raise DeadlineExceededError(message) from None
            return await call(context)

        return verified

    def stop(self) -> None:
        """End it if it is still running; it sends nothing more."""
        task = self._task
        if task is not None and task.get_loop() is asyncio.get_running_loop():
            task.cancel()

    def _has_succeeded(self) -> bool:
        task = self._task
        return (
            task is not None and task.done() and not task.cancelled() and task.exception() is None
        )

    async def _verify(self) -> None:
        name = self._contract.name
        try:
            async with asyncio.timeout(_TIMEOUT):
                instances = await list_instances(self._transport, name)
                if not instances:
                    message = f"no instance of {name} is running, so its contract is not known"
                    raise NoRespondersError(message)
                findings = await self._findings(instances)
        except TimeoutError:
            message = f"the contract of {name} was not verified within {_TIMEOUT:g} seconds"
            raise DeadlineExceededError(message) from None
        if findings:
            raise IncompatibleContractError(self._text(findings), details={"findings": findings})

    async def _warn(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                instances = await list_instances(self._transport, self._contract.name)
                known = [each for each in instances if _digest(each)]  # others may be of any kind
                findings = await self._findings(known, is_repeated=False)
        except Exception as error:  # noqa: BLE001 - the client works without it
            why = str(error) or type(error).__name__
            _LOG.info("the contract of %s was not verified: %s", self._contract.name, why)
        else:
            if findings:
                _LOG.warning("%s", self._text(findings))

    def _text(self, findings: Sequence[str]) -> str:
        shown = "; ".join(findings[:_MAX_SHOWN])
        more = len(findings) - _MAX_SHOWN
        own = f"{self._contract.name} {self._contract.version}"
        text = (
            f"this client of {own} (the old version below) is not compatible with what is running"
            f" (the new version): {shown}"
        )
        return f"{text}; and {more} more" if more > 0 else text

    async def _findings(
        self, instances: Sequence[PingResponse], *, is_repeated: bool = True
    ) -> list[str]:
        """Return what breaks this client.

        Args:
            instances: the running instances.
            is_repeated: whether to return also what was returned before in this process.
        """
        running: dict[_Running, list[str]] = defaultdict(list)
        for each in instances:
            if _digest(each) != self._contract.digest:
                running[_Running(each.version, _digest(each))].append(each.id)
        findings: list[str] = []
        for contract in sorted(running)[:_MAX_VERSIONS]:
            key = (self._contract.name, self._contract.digest, contract)
            if key not in _KNOWN:
                found = await self._compared(contract, running[contract])
                if len(_KNOWN) >= _MAX_KNOWN:
                    _KNOWN.clear()
                _KNOWN[key] = tuple(found)
                findings += found
            elif is_repeated:
                findings += _KNOWN[key]
        return findings

    async def _compared(self, running: _Running, ids: Sequence[str]) -> list[str]:
        """Return what a running contract breaks: by comparison if possible, else by versions."""
        own = self._contract
        where = f"in {own.name} {running.version} ({', '.join(sorted(ids)[:_MAX_SHOWN])})"
        engine = await run_in_thread(_engine, "weenats verification")
        if engine is not None and own.document is not None and running.digest:
            for instance_id in sorted(ids)[:_MAX_ASKED]:
                try:
                    document = await get_contract_document(self._transport, own.name, instance_id)
                    compare = partial(engine, own.document(), document, running.digest)
                    found = await run_in_thread(compare, "weenats verification")
                except Exception as error:  # noqa: BLE001 - whatever another party sent
                    _LOG.debug("%s %s sent no usable contract: %s", own.name, instance_id, error)
                else:
                    return [printable(f"{where}: {each}") for each in found]
        if not running.digest:
            return [printable(f"{where}: it does not report which contract it has")]
        if _is_promised(own.version, running.version):
            return []
        text = "it has another contract, which was not compared; `weenats diff` shows what differs"
        return [printable(f"{where}: {text}")]


def _digest(instance: PingResponse) -> str:
    metadata = instance.metadata
    return metadata.get("contract", "") if isinstance(metadata, dict) else ""


def _engine() -> Engine | None:
    """Return what compares two documents, None if it is not installed."""
    for found in entry_points(group=_ENGINES):
        try:
            return cast("Engine", found.load())
        except Exception as error:  # noqa: BLE001 - without the extra `codegen`, an ImportError
            _LOG.debug("contracts are not compared: %s", error)
    return None


def _is_promised(own: str, running: str) -> bool:
    """Return whether semantic versioning promises that a running version is compatible.

    Before 1.0.0 a minor version may break.
    """
    ours, theirs = re.match(_CORE, own), re.match(_CORE, running)
    if ours is None or theirs is None:  # pre-releases promise nothing
        return False
    before, after = ([int(part) for part in each.groups()] for each in (ours, theirs))
    kept = 1 if before[0] else 2
    return before[:kept] == after[:kept] and after > before
