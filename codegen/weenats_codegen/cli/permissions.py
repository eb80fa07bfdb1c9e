"""The command `permissions`: what a NATS user must be allowed to do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import typer

from weenats_codegen.cli.options import own_consumer, split
from weenats_codegen.cli.output import emit, write
from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.permissions.buckets import buckets
from weenats_codegen.permissions.durable import of_consumer, of_operator
from weenats_codegen.permissions.entries import Permissions
from weenats_codegen.permissions.model import Used, of_client, of_service
from weenats_codegen.permissions.output import to_claims, to_config
from weenats_codegen.permissions.projections import of_projection


@dataclass(frozen=True, slots=True)
class Arguments:
    """The options of the command.

    Attributes:
        role: `service`, `client`, `consumer`, `operator` or `projection`.
        used: The part of the contract that a client uses; empty for everything.
        queue_group: The queue group of a service, or of the events of a client.
        inbox_prefix: The prefix of the inbox of a client.
        max_timeout: The longest timeout of the callers of a service, in seconds.
        streams: What `with_streams` of a service was called with; None if it was not.
        consumer: The name of a durable consumer; of a service, one that its lifespan runs.
        projection: The name of a projection; of a service, one that its lifespan runs; of an
            operator, one whose progress is shown.
        shared_limits: Whether the instances of a service share their rate limits.
        calls: The other contracts that the user calls: CONTRACT, or CONTRACT=OPERATIONS.
        consumes: The other contracts whose durable events the user processes: CONTRACT=CONSUMER.
    """

    role: str
    used: Used
    queue_group: str | None
    inbox_prefix: str | None
    max_timeout: float | None
    streams: Literal["apply", "check"] | None
    consumer: str | None
    projection: str | None
    shared_limits: bool = False
    calls: Sequence[str] = ()
    consumes: Sequence[str] = ()


def permissions(folder: Path, arguments: Arguments, *, as_json: bool) -> None:
    """Print the permissions of a service or client: configuration text, or claims."""
    contract, role = read(folder), arguments.role
    _check_role(arguments)
    needed = _ROLES[role](contract, arguments)
    others = [("calls", *_of_called(text, arguments)) for text in arguments.calls]
    others += [("consumes", *_of_consumed(text, arguments)) for text in arguments.consumes]
    uses: dict[str, list[str]] = {}
    for verb, other, more in others:
        needed = needed.with_those(more)
        uses.setdefault(verb, []).append(f"{other.service} {other.version}")
    if as_json:
        emit(to_claims(needed), as_json=True, render=str)
    else:  # without wrapping, however narrow the terminal is
        listed = " and ".join(
            f"{verb} {' and '.join(dict.fromkeys(names))}" for verb, names in uses.items()
        )
        also = f", which {listed}" if listed else ""
        head = f"# the {role} of {contract.service} {contract.version}{also}; all else is denied"
        write(f"{head}\n{to_config(needed)}\n")


def _of_service(contract: Contract, arguments: Arguments) -> Permissions:
    shared = arguments.shared_limits
    uses_jetstream = contract.streams or contract.stored or buckets(contract, shared_limits=shared)
    uses_others = arguments.calls or arguments.consumes
    if arguments.inbox_prefix is not None and not uses_jetstream and not uses_others:
        raise typer.BadParameter(
            f"--inbox-prefix changes nothing: {contract.service} receives no replies, since it"
            " does not use JetStream; if it calls other services, or consumes their durable events,"
            " name them with --calls CONTRACT or --consumes CONTRACT=NAME"
        )
    needed = of_service(
        contract,
        queue_group=arguments.queue_group,
        max_timeout=arguments.max_timeout or 0.0,
        streams=arguments.streams,
        inbox_prefix=_prefix(arguments),
        shared_limits=shared,
    )
    if arguments.consumer is not None:
        needed = needed.with_those(_of_consumer(contract, arguments))
    if arguments.projection is not None:
        needed = needed.with_those(_of_projection(contract, arguments))
    return needed


def _of_client(contract: Contract, arguments: Arguments) -> Permissions:
    used = arguments.used
    return of_client(
        contract,
        used if used.operations or used.events or used.discovery else None,
        queue_group=arguments.queue_group,
        inbox_prefix=_prefix(arguments),
    )


def _of_called(text: str, arguments: Arguments) -> tuple[Contract, Permissions]:
    """Return another contract that is called, and what its client needs."""
    folder, sign, names = text.partition("=")
    operations = split(names)
    if sign and not operations:  # without any name, everything would be permitted
        raise typer.BadParameter(f"--calls {text} requires the name of an operation after =")
    contract = read(Path(folder))
    used = Used(operations, (), discovery=False) if operations else None
    return contract, of_client(contract, used, inbox_prefix=_prefix(arguments))


def _of_consumed(text: str, arguments: Arguments) -> tuple[Contract, Permissions]:
    """Return another contract whose events are processed, and what the consumer of them needs."""
    folder, _, name = text.rpartition("=")
    if not folder:
        raise typer.BadParameter(f"--consumes {text} requires the name of a consumer after =")
    own_consumer(name)
    contract = read(Path(folder))
    if not contract.streams:
        raise typer.BadParameter(f"--consumes {text}: {contract.service} has no durable events")
    return contract, of_consumer(contract, name, inbox_prefix=_prefix(arguments))


def _of_consumer(contract: Contract, arguments: Arguments) -> Permissions:
    if arguments.consumer is None:
        raise typer.BadParameter("--role consumer requires --consumer NAME")
    _check_durable(contract, "--consumer")
    return of_consumer(contract, arguments.consumer, inbox_prefix=_prefix(arguments))


def _of_projection(contract: Contract, arguments: Arguments) -> Permissions:
    if arguments.projection is None:
        raise typer.BadParameter("--role projection requires --projection NAME")
    _check_durable(contract, "--projection")
    return of_projection(contract, arguments.projection, inbox_prefix=_prefix(arguments))


def _of_operator(contract: Contract, arguments: Arguments) -> Permissions:
    projections = () if arguments.projection is None else (arguments.projection,)
    return of_operator(contract, projections=projections, inbox_prefix=_prefix(arguments))


_ROLES: Final[dict[str, Callable[[Contract, Arguments], Permissions]]] = {
    "service": _of_service,
    "client": _of_client,
    "consumer": _of_consumer,
    "operator": _of_operator,
    "projection": _of_projection,
}


def _check_durable(contract: Contract, option: str) -> None:
    """Refuse a contract without durable events, for which nothing would be printed."""
    if not contract.streams:
        remedy = "print what it needs by --role projection, and add it to what this service needs"
        if option == "--consumer":
            remedy = "name it with --consumes CONTRACT=NAME"
        raise typer.BadParameter(
            f"{contract.service} has no durable events: {option} goes with the contract of the"
            f" service whose events are read; {remedy}"
        )


def _check_role(arguments: Arguments) -> None:
    """Refuse options that other roles have."""
    used = arguments.used
    for option, is_given, *roles in (
        ("--operations", bool(used.operations), "client"),
        ("--events", bool(used.events), "client"),
        ("--discovery", used.discovery, "client"),
        ("--queue-group", arguments.queue_group is not None, "service", "client"),
        ("--max-timeout", arguments.max_timeout is not None, "service"),
        ("--streams", arguments.streams is not None, "service"),
        ("--shared-limits", arguments.shared_limits, "service"),
        ("--consumer", arguments.consumer is not None, "consumer", "service"),
        ("--projection", arguments.projection is not None, "projection", "service", "operator"),
    ):
        if is_given and arguments.role not in roles:
            *others, last = roles
            listed = f"{', '.join(others)} or {last}" if others else last
            raise typer.BadParameter(f"{option} requires --role {listed}")


def _prefix(arguments: Arguments) -> str:
    return "_INBOX" if arguments.inbox_prefix is None else arguments.inbox_prefix
