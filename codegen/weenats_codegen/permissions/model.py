"""What a NATS user must be allowed so that a service or a client of a contract works: no more.

Every subject that the runtime uses is here once, with what it is for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from weenats.protocol import subjects
from weenats.protocol.deadline import DEFAULT_TIMEOUT
from weenats.protocol.subjects import Kind
from weenats_codegen.parser.diagnostics import ContractError, Problem, shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from weenats_codegen.ir.contract import Contract

_REPLY_GRACE: Final = 5.0
"""Seconds after a caller's timeout in which a loaded service still says that time ran out."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that is allowed.

    Attributes:
        subject: A subject, or a subject, a space and the one queue group that may share it.
        purpose: What it is for.
    """

    subject: str
    purpose: str

    def shared(self, queue_group: str | None) -> Entry:
        """Return the same for members of a queue group only; None changes nothing."""
        return (
            self if queue_group is None else replace(self, subject=f"{self.subject} {queue_group}")
        )


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a NATS user may do; all else is denied.

    Attributes:
        publish: Where it may send.
        subscribe: What it may listen on.
        reply_within: Seconds within which it may reply to what was sent to it, once for each
            message; None when it replies to nothing.
    """

    publish: tuple[Entry, ...]
    subscribe: tuple[Entry, ...]
    reply_within: float | None = None


@dataclass(frozen=True, slots=True)
class Used:
    """What a client uses of a contract.

    Attributes:
        operations: The commands and queries that it calls.
        events: The events that it takes.
        discovery: Whether it asks for instances, information, statistics and health.
    """

    operations: Collection[str]
    events: Collection[str]
    discovery: bool

    @classmethod
    def everything(cls, contract: Contract) -> Used:
        """Return all that a client of the contract can use."""
        operations = [each.name for each in contract.operations]
        return cls(operations, [each.name for each in contract.events], discovery=True)


def of_service(
    contract: Contract, *, queue_group: str | None = None, max_timeout: float = 0.0
) -> Permissions:
    """Return what a service needs: its operations, events, discovery, health and monitoring.

    It has no inbox: the calls that handlers make are those of a client.

    Args:
        contract: The contract.
        queue_group: The name given to `with_queue_group`, the service's if none was.
        max_timeout: The longest that a caller waits, in seconds, if that is longer than what the
            contract says, or the runtime for operations of which it says nothing.

    Raises:
        SubjectError: The queue group is malformed.
    """
    name = contract.service
    group = subjects.check_queue_group(queue_group or name)
    timeouts = [each.timeout or DEFAULT_TIMEOUT for each in contract.operations]
    return Permissions(
        publish=(
            *_events(contract).values(),
            Entry(subjects.monitoring(name), "snapshots, with_monitoring"),
        ),
        subscribe=(
            *(each.shared(group) for each in _operations(contract).values()),
            Entry(subjects.health(name), "health").shared(name),
            Entry(subjects.cancel(name), "calls that are given up"),
            *(
                Entry(subject, f"discovery of {what}")
                for verb in ("PING", "INFO", "STATS")
                for subject, what in (
                    (subjects.discovery(verb), "all services"),
                    (subjects.discovery(verb, name), "this service"),
                    (_each_instance(verb, name), "this instance"),
                )
            ),
        ),
        reply_within=max(max_timeout, *timeouts, 0.0) + _REPLY_GRACE,
    )


def of_client(
    contract: Contract,
    used: Used | None = None,
    *,
    queue_group: str | None = None,
    inbox_prefix: str = "_INBOX",
) -> Permissions:
    """Return what a client needs; it may publish no event, since events are the service's word.

    Args:
        contract: The contract.
        used: What it uses of the contract, everything if not set.
        queue_group: The one in which it shares events with others.
        inbox_prefix: The one in its ConnectionOptions.

    Raises:
        ContractError: The contract has no such operation or event.
        SubjectError: The queue group or the prefix is malformed.
    """
    used = used or Used.everything(contract)
    _check(contract, used)
    if queue_group is not None:
        subjects.check_queue_group(queue_group)
    inbox = Entry(
        f"{subjects.check_inbox_prefix(inbox_prefix)}.>", "replies, to all who have this prefix"
    )
    operations, events = _operations(contract), _events(contract)
    publish = [entry for name, entry in operations.items() if name in used.operations]
    if publish:
        publish.append(Entry(subjects.cancel(contract.service), "calls that it gives up"))
    if used.discovery:
        publish += _questions(contract.service)
    taken = [entry.shared(queue_group) for name, entry in events.items() if name in used.events]
    return Permissions(publish=tuple(publish), subscribe=(*([inbox] if publish else []), *taken))


def _operations(contract: Contract) -> dict[str, Entry]:
    return {
        each.name: Entry(
            subjects.build(contract.service, kind, contract.aggregate, each.name),
            f"{kind.value} {each.name}",
        )
        for kind, operations in ((Kind.COMMAND, contract.commands), (Kind.QUERY, contract.queries))
        for each in operations
    }


def _events(contract: Contract) -> dict[str, Entry]:
    return {
        each.name: Entry(
            subjects.build(contract.service, Kind.EVENT, contract.aggregate, each.name),
            f"event {each.name}",
        )
        for each in contract.events
    }


def _questions(service: str) -> list[Entry]:
    """Return what a client asks a service about itself."""
    return [
        Entry(subjects.health(service), "check_health"),
        Entry(subjects.discovery("PING", service), "list_instances"),
        *(
            Entry(subject, method)
            for verb, method in (("INFO", "get_service_info"), ("STATS", "get_service_stats"))
            for subject, method in (
                (subjects.discovery(verb, service), method),
                (_each_instance(verb, service), f"{method} of one instance"),
            )
        ),
    ]


def _each_instance(verb: str, service: str) -> str:
    """Return the subjects of the instances: their ids are new with each start."""
    return f"{subjects.discovery(verb, service)}.*"


def _check(contract: Contract, used: Used) -> None:
    """Refuse what the contract does not have, all of it at once."""
    problems = [
        Problem(contract.shown, "", f"has no {what} {shown(name)}", f"known are {', '.join(known)}")
        for what, names, known in (
            ("operation", used.operations, list(_operations(contract))),
            ("event", used.events, list(_events(contract))),
        )
        for name in names
        if name not in known
    ]
    if problems:
        raise ContractError(problems)
