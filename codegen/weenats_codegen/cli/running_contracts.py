"""The contracts of running services, and which of their operations are in use."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from weenats.discovery import get_contract_document, list_instances, list_stats
from weenats.errors import ServiceError
from weenats.protocol.messages import PingResponse, StatsResponse
from weenats.protocol.subjects import SubjectError, check_service_name
from weenats_codegen.cli.connection import connection
from weenats_codegen.cli.instances import warn_once
from weenats_codegen.cli.output import one_line, warn
from weenats_codegen.cli.time_limit import time_limit
from weenats_codegen.compatibility.findings import NotCompared, Running
from weenats_codegen.compatibility.places import subject
from weenats_codegen.documents import read_document
from weenats_codegen.ir.contract import Contract
from weenats_codegen.parser.diagnostics import ContractError
from weenats_codegen.revisions import Contracts

if TYPE_CHECKING:
    from weenats.transport.nats import NatsTransport

MAX_SECONDS: Final = 30.0
"""The time limit for reading, and for comparing, the contract of an instance."""
_MAX_CONTRACTS: Final = 20
"""How many different contracts of one service are read; anyone can claim to have another one."""
_MAX_ASKED: Final = 3
"""How many instances with the same contract are asked for it, until one sends it."""


@dataclass(frozen=True, slots=True)
class RunningContract:
    """A contract that runs.

    Attributes:
        contracts: The contract.
        running: The instances that have it.
    """

    contracts: Contracts
    running: Running

    @property
    def contract(self) -> Contract:
        """The contract."""
        return self.contracts.contracts[0]


@dataclass(frozen=True, slots=True)
class Fleet:
    """What runs.

    Attributes:
        contracts: The contracts, by service and version.
        not_compared: The instances whose contract is not known.
    """

    contracts: tuple[RunningContract, ...]
    not_compared: tuple[NotCompared, ...]


@dataclass(slots=True)
class _Group:
    """The instances of a service that report the same contract."""

    service: str
    version: str
    digest: str
    ids: list[str] = field(default_factory=list[str])
    stats: list[StatsResponse] = field(default_factory=list[StatsResponse])

    def without(self, reason: str) -> NotCompared:
        """Return that its contract is not known."""
        return NotCompared(self.service, self.version, tuple(sorted(self.ids)), one_line(reason))


class _UnknownContractError(Exception):
    """No instance sent a usable contract; the text says why."""


async def find_fleet(
    servers: Sequence[str], services: Collection[str] | None, known: Iterable[Contract] = ()
) -> Fleet:
    """Return the contracts of running services.

    Args:
        servers: The URLs of the servers.
        services: The names of the services; None for all that have contracts.
        known: Contracts that need not be asked for.

    Raises:
        CliError: No server is available.
        ServiceError: The instances cannot be listed.
    """
    by_digest = {(each.service, each.digest): each for each in known}
    async with connection(servers, hint="use the URL of another server") as transport:
        groups = await _groups(transport, services)
        few, many = _limited(groups)
        found = await asyncio.gather(*(_contract(transport, each, by_digest) for each in few))
    contracts = [each for each in found if isinstance(each, RunningContract)]
    missing = [each for each in found if isinstance(each, NotCompared)]
    return Fleet(tuple(contracts), (*missing, *many))


async def _groups(transport: "NatsTransport", services: Collection[str] | None) -> list[_Group]:
    """Return the instances of services, by the contract that they report."""
    on_invalid = warn_once()
    replies: list[PingResponse | StatsResponse] = []
    for service in sorted(services) if services is not None else [None]:
        answers = await asyncio.gather(
            list_instances(transport, service, on_invalid=on_invalid),
            list_stats(transport, service, on_invalid=on_invalid),
        )
        replies += (each for answer in answers for each in answer)
    groups: dict[tuple[str, str, str], _Group] = {}
    for (name, instance_id), reply in {(each.name, each.id): each for each in replies}.items():
        digest = reply.metadata.get("contract") if isinstance(reply.metadata, dict) else None
        if digest is None and services is None:
            continue  # a service of another framework
        key = (name, reply.version, digest or "")
        group = groups.setdefault(key, _Group(*key))
        group.ids.append(instance_id)
        if isinstance(reply, StatsResponse):
            group.stats.append(reply)
    return [groups[key] for key in sorted(groups)]


def _limited(groups: Sequence[_Group]) -> tuple[list[_Group], list[NotCompared]]:
    """Return the groups whose contracts are read, those with most instances, and the others."""
    services: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        services[group.service].append(group)
    few: list[_Group] = []
    many: list[NotCompared] = []
    for found in services.values():
        found.sort(key=lambda each: -len(each.ids))
        few += found[:_MAX_CONTRACTS]
        reason = f"there are more than {_MAX_CONTRACTS} different contracts of the service"
        many += [each.without(reason) for each in found[_MAX_CONTRACTS:]]
    return few, many


async def _contract(
    transport: "NatsTransport", group: _Group, known: Mapping[tuple[str, str], Contract]
) -> RunningContract | NotCompared:
    contract = known.get((group.service, group.digest))
    try:
        if contract is None:
            contracts = await _received(transport, group)
        else:
            contracts = Contracts((contract,))
    except _UnknownContractError as error:
        return group.without(str(error))
    calls = _calls(contracts.contracts[0], group.stats)
    return RunningContract(contracts, Running(tuple(sorted(group.ids)), calls))


async def _received(transport: "NatsTransport", group: _Group) -> Contracts:
    """Return the contract that an instance of a group sends.

    Raises:
        _UnknownContractError: None sends a contract of the service.
    """
    if not group.digest:
        raise _UnknownContractError("it does not report which contract it has")
    reason = ""
    other: Contracts | None = None
    for instance_id in sorted(group.ids)[:_MAX_ASKED]:
        try:
            found = await _asked(transport, group.service, instance_id)
        except _UnknownContractError as error:
            reason = str(error)
            continue
        if found.contracts[0].digest == group.digest:
            return found
        other = other or found
    if other is None:
        raise _UnknownContractError(reason)
    warn(
        f"contract digest mismatch of {group.service} {group.version}: reported {group.digest},"
        f" received {other.contracts[0].digest}"
    )
    return other


async def _asked(transport: "NatsTransport", service: str, instance_id: str) -> Contracts:
    """Return the contract that an instance sends.

    Raises:
        _UnknownContractError: It sends none that is valid.
    """
    try:
        check_service_name(service)
        document = await get_contract_document(transport, service, instance_id)
        found = read_document(document, service, time_limit(MAX_SECONDS))
    except ContractError as error:
        first, *others = error.diagnostics
        more = f" (and {len(others)} more)" if others else ""
        raise _UnknownContractError(f"its contract is not valid: {first}{more}") from error
    except (ServiceError, SubjectError) as error:
        raise _UnknownContractError(f"it does not send its contract: {error}") from error
    except Exception as error:
        why = str(error) if isinstance(error, TimeoutError) else type(error).__name__
        raise _UnknownContractError(f"its contract cannot be read: {why}") from error
    sent = found.contracts[0].service
    if sent != service:
        raise _UnknownContractError(f"it sent the contract of another service, {sent}")
    return found


def _calls(contract: Contract, stats: Sequence[StatsResponse]) -> dict[str, int]:
    """Return how often each operation was called since the instances were started."""
    labels = {subject(contract, each): each.label for each in contract.operations}
    calls = dict.fromkeys(labels.values(), 0) if stats else {}
    for endpoint in (endpoint for each in stats for endpoint in each.endpoints):
        if endpoint.subject in labels:
            calls[labels[endpoint.subject]] += endpoint.num_requests
    return calls
