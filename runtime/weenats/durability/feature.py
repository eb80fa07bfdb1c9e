"""The demands of a contract on what its service stores, checked when an instance starts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from typing_extensions import override

from weenats.durability.guarantees import SERVERS, Guarantee, look_up_guarantees
from weenats.errors import FailedPreconditionError
from weenats.interceptors import ServiceFeature

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weenats.contract import AnyOperation, DurabilityDemand, ServiceContract
    from weenats.interceptors import Description
    from weenats.transport.base import Transport

__all__ = ["Durability"]
_LOG: Final = logging.getLogger("weenats.durability")


class Durability(ServiceFeature):
    """Names in the log how what the service stores is kept, and refuses to start on too little.

    Args:
        contract: the contract of the service.
        streams: the names of the streams in which it stores something.
        transport: the connection.
    """

    def __init__(
        self, contract: ServiceContract, streams: Sequence[str], transport: Transport
    ) -> None:
        self._contract = contract
        self._streams = streams
        self._transport = transport

    @override
    def interceptor(self, operation: AnyOperation) -> None:
        """Return None: it has nothing to do for single requests."""

    @override
    def describe(self, operation: AnyOperation) -> Description | None:
        """Return None: it is about the service as a whole."""

    @override
    async def start(self) -> None:
        contract = self._contract
        guarantees = await look_up_guarantees(self._transport, self._streams)
        _log(contract, guarantees)
        if contract.durability is not None:
            _check(contract.name, contract.durability, guarantees)


def _log(contract: ServiceContract, guarantees: Sequence[Guarantee]) -> None:
    """Write one line, in which streams that are kept alike are together."""
    alike: dict[str, list[str]] = {}
    for each in guarantees:
        alike.setdefault(str(each), []).append(each.stream)
    text = "; ".join(f"{', '.join(names)}: {how}" for how, names in alike.items())
    _LOG.info("%s stores in %s", contract.name, text)


def _check(service: str, demand: DurabilityDemand, guarantees: Sequence[Guarantee]) -> None:
    """Check that all streams are kept as a contract demands.

    Raises:
        FailedPreconditionError: one of them is not.
    """
    problems = [problem for each in guarantees for problem in _problems(demand, each)]
    if problems:
        text = f"the contract of {service} demands more of what it stores: {'; '.join(problems)}"
        raise FailedPreconditionError(text)


def _problems(demand: DurabilityDemand, has: Guarantee) -> Iterator[str]:
    name = has.stream
    if not has.replicas:
        yield f"{name} does not exist"
        return
    if has.replicas < demand.replicas:
        yield f"{name} has replicas: {has.replicas}, not {demand.replicas}"
    if demand.sync is None:
        return
    if has.storage == "memory":
        yield f"{name} is in memory"
    elif has.sync is None:
        yield f"when {name} is on disk is not known: export {SERVERS} to the account"
    elif has.sync > demand.sync:
        wanted = f"within {demand.sync:g} s" if demand.sync else "before it is acknowledged"
        yield f"{name} is on disk within {has.sync:g} s, not {wanted}"
