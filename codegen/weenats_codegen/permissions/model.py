"""The permissions that a NATS user needs for a service or a client of a contract, and no others.

Every subject that the runtime uses is listed once, with its purpose.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from weenats.protocol import subjects
from weenats.protocol.subjects import Kind
from weenats.protocol.timeouts import DEFAULT_TIMEOUT
from weenats_codegen.ir.contract import Contract, Event, Operation
from weenats_codegen.naming import labels_meant
from weenats_codegen.parser.diagnostics import (
    ContractError,
    Diagnostic,
    Location,
    did_you_mean,
    quoted,
)
from weenats_codegen.permissions import stored
from weenats_codegen.permissions.buckets import buckets, guarantees, large_of_client
from weenats_codegen.permissions.durable import publishing
from weenats_codegen.permissions.entries import Entry, Permissions, inbox

_REPLY_GRACE: Final = 5.0
"""Seconds after a caller's timeout in which a busy service still replies that time ran out."""


@dataclass(frozen=True, slots=True)
class Used:
    """The part of a contract that a client uses.

    Attributes:
        operations: The commands and queries that it calls; `get` for those of all aggregates.
        events: The events that it subscribes to.
        discovery: Whether it requests instances, information, statistics and health, and calls
            its operations on all instances.
    """

    operations: Collection[str]
    events: Collection[str]
    discovery: bool


def of_service(  # noqa: PLR0913 - what the builder of a service was called with
    contract: Contract,
    *,
    queue_group: str | None = None,
    max_timeout: float = 0.0,
    streams: Literal["apply", "check"] | None = None,
    inbox_prefix: str = "_INBOX",
    shared_limits: bool = False,
) -> Permissions:
    """Return the permissions of a service: operations, events, discovery, health, monitoring.

    It has no inbox, unless it uses JetStream: the calls that its handlers make are those
    of a client.

    Args:
        contract: The contract.
        queue_group: The name passed to `with_queue_group`; by default that of the service.
        max_timeout: The longest timeout of a caller in seconds, if it is longer than those of the
            contract and the default of the runtime.
        streams: What `with_streams` was called with; None if it was not.
        inbox_prefix: The prefix in its ConnectionOptions, for the answers of JetStream.
        shared_limits: Whether it is built with `with_rate_limit(scope="service")`.

    Returns:
        What the user of the service may do.

    Raises:
        SubjectError: The queue group or the prefix is invalid.
    """
    name = contract.service
    group = subjects.check_queue_group(name if queue_group is None else queue_group)
    kept = buckets(contract, shared_limits=shared_limits)
    timeouts = [each.timeout or DEFAULT_TIMEOUT for each in contract.operations]
    return Permissions(
        publish=(
            *(_published(contract, event) for event in contract.events),
            *publishing(contract, streams),
            *kept,
            *guarantees(contract),
            *stored.publishing(contract, streams),
            Entry(subjects.monitoring(name), "snapshots, with_monitoring"),
        ),
        subscribe=(
            *(each.shared(group) for each in _operations(contract).values()),
            Entry(subjects.health(name), "health").shared(name),
            Entry(subjects.contract(name), "the contract").shared(name),
            Entry(subjects.cancel(name), "calls that are cancelled"),
            Entry(subjects.all_on_instance(name), "calls of this instance"),
            *([inbox(inbox_prefix)] if contract.streams or contract.stored or kept else []),
            *_answered_discovery(name),
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
    """Return the permissions of a client; it may not publish events, which only the service does.

    Args:
        contract: The contract.
        used: The part of the contract that it uses; by default everything.
        queue_group: The queue group in which it shares events with others.
        inbox_prefix: The prefix in its ConnectionOptions.

    Returns:
        What the user of the client may do.

    Raises:
        ContractError: The contract has no such operation or event.
        SubjectError: The queue group or the prefix is invalid.
    """
    operations, events = _operations(contract), _events(contract)
    used = used or Used([*operations], [*events], discovery=True)
    missing = [
        *_missing(contract, "operation", used.operations, operations),
        *_missing(contract, "event", used.events, events),
    ]
    if missing:
        raise ContractError(missing)
    called = {label for name in used.operations for label in labels_meant(name, operations)}
    if queue_group is not None:
        subjects.check_queue_group(queue_group)
    replies = inbox(inbox_prefix)
    publish = [entry for label, entry in operations.items() if label in called]
    if publish:
        publish.append(Entry(subjects.cancel(contract.service), "calls that it cancels"))
    if any(each.large is not None and each.label in called for each in contract.operations):
        publish += large_of_client(contract)
    if publish or used.discovery:
        publish += _verification_requests(contract.service)
    if used.discovery:
        publish += [
            Entry(
                subjects.on_each_instance(operations[each.label].subject), f"{each.label}, on_all"
            )
            for each in contract.operations
            if each.label in called
            and (each in contract.queries or (each.idempotent and not each.is_stored))
        ]
        publish += _discovery_requests(contract.service)
    subscribed = [
        entry.shared(queue_group) for name, entry in events.items() if name in used.events
    ]
    return Permissions(tuple(publish), (*([replies] if publish else []), *subscribed))


def _missing(
    contract: Contract, kind: str, names: Collection[str], known: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield the names that the contract does not have."""
    for name in names:
        if not labels_meant(name, known):
            message, remedy = f"has no {kind} {quoted(name)}", did_you_mean(name, known)
            yield Diagnostic(Location(contract.file), message, remedy)


def _operations(contract: Contract) -> dict[str, Entry]:
    commands = {each.label: _entry(contract, Kind.COMMAND, each) for each in contract.commands}
    queries = {each.label: _entry(contract, Kind.QUERY, each) for each in contract.queries}
    return commands | queries


def _events(contract: Contract) -> dict[str, Entry]:
    return {each.name: _entry(contract, Kind.EVENT, each) for each in contract.events}


def _published(contract: Contract, event: Event) -> Entry:
    """Return what a service needs to publish an event; a stream publishes durable ones on."""
    entry = _entry(contract, Kind.EVENT, event)
    if event.stream is None:
        return entry
    path = entry.subject.removeprefix(f"{contract.service}.{Kind.EVENT}.")
    return Entry(subjects.stored_event(contract.service, "*", path), entry.purpose)


def _entry(contract: Contract, kind: Kind, member: Operation | Event) -> Entry:
    aggregate = None if member.aggregate is None else member.aggregate.name
    subject = subjects.build(contract.service, kind, aggregate, member.name)
    label = member.label if isinstance(member, Operation) else member.name
    return Entry(subject, f"{kind.name.lower()} {label}")


def _answered_discovery(service: str) -> Iterator[Entry]:
    for verb in ("PING", "INFO", "STATS"):
        yield Entry(subjects.discovery(verb), "discovery of all services")
        yield Entry(subjects.discovery(verb, service), "discovery of this service")
        yield Entry(_each_instance(verb, service), "discovery of this instance")


def _discovery_requests(service: str) -> list[Entry]:
    return [
        Entry(subjects.health(service), "check_health"),
        Entry(subjects.contract(service), "get_contract_document"),
        *(
            Entry(subject, method)
            for verb, method in (("INFO", "get_service_info"), ("STATS", "get_service_stats"))
            for subject, method in (
                (subjects.discovery(verb, service), method),
                (_each_instance(verb, service), f"{method} of one instance"),
            )
        ),
    ]


def _verification_requests(service: str) -> list[Entry]:
    """Return what `connect` of a client sends, unless `verify` is "off"."""
    contract = subjects.on_each_instance(subjects.contract(service))
    return [
        Entry(subjects.discovery("PING", service), "verify, list_instances"),
        Entry(contract, "verify, if the contract is another one"),
    ]


def _each_instance(verb: str, service: str) -> str:
    """Return the wildcard for the instances of a service, whose ids change with each start."""
    return f"{subjects.discovery(verb, service)}.*"
