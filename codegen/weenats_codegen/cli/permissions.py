"""The verb `permissions`: what a NATS user must be allowed, no more."""

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from weenats_codegen.cli.output import emit
from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.permissions.model import Permissions, Used, of_client, of_service
from weenats_codegen.permissions.output import to_claims, to_config


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person says of the user.

    Attributes:
        role: Whether it is a `service` or a `client`.
        operations: What a client calls; when it says nothing of all three, it uses everything.
        events: What a client takes.
        discovery: Whether a client asks the service about itself.
        queue_group: The one of a service, or in which a client shares events.
        inbox_prefix: Where a client takes replies.
        max_timeout: How long the callers of a service wait at most, seconds.
    """

    role: str
    operations: list[str]
    events: list[str]
    discovery: bool
    queue_group: str | None
    inbox_prefix: str | None
    max_timeout: float | None


def permissions(folder: Path, asked: Asked, *, as_json: bool) -> None:
    """Print what the user of a contract must be allowed: configuration text, or claims."""
    contract = read(folder)
    needed = (
        _of_service(contract, asked) if asked.role == "service" else _of_client(contract, asked)
    )
    if as_json:
        emit(to_claims(needed), as_json=True, person=str)
    else:  # as it is, however narrow the terminal
        head = f"# the {asked.role} of {contract.service} {contract.version}; all else is denied"
        sys.stdout.write(f"{head}\n{to_config(needed)}\n")


def _of_service(contract: Contract, asked: Asked) -> Permissions:
    if asked.operations or asked.events or asked.discovery:
        raise typer.BadParameter(
            "a service serves its whole contract: --operations, --events and --discovery are for"
            " --role client"
        )
    if asked.inbox_prefix is not None:
        raise typer.BadParameter("a service has no inbox: --inbox-prefix is for --role client")
    return of_service(contract, queue_group=asked.queue_group, max_timeout=asked.max_timeout or 0.0)


def _of_client(contract: Contract, asked: Asked) -> Permissions:
    if asked.max_timeout is not None:
        raise typer.BadParameter("a client replies to nobody: --max-timeout is for --role service")
    selected = asked.operations or asked.events or asked.discovery
    used = Used(asked.operations, asked.events, asked.discovery) if selected else None
    prefix = "_INBOX" if asked.inbox_prefix is None else asked.inbox_prefix
    return of_client(contract, used, queue_group=asked.queue_group, inbox_prefix=prefix)
