"""The command `permissions`: what a NATS user must be allowed to do."""

from dataclasses import dataclass
from pathlib import Path

import typer

from weenats_codegen.cli.output import emit, write
from weenats_codegen.ir.contract import Contract
from weenats_codegen.loading import read
from weenats_codegen.permissions.model import Permissions, Used, of_client, of_service
from weenats_codegen.permissions.output import to_claims, to_config


@dataclass(frozen=True, slots=True)
class Arguments:
    """The options of the command.

    Attributes:
        role: `service` or `client`.
        used: The part of the contract that a client uses; empty for everything.
        queue_group: The queue group of a service, or of the events of a client.
        inbox_prefix: The prefix of the inbox of a client.
        max_timeout: The longest timeout of the callers of a service, in seconds.
    """

    role: str
    used: Used
    queue_group: str | None
    inbox_prefix: str | None
    max_timeout: float | None


def permissions(folder: Path, arguments: Arguments, *, as_json: bool) -> None:
    """Print the permissions of a service or client: configuration text, or claims."""
    contract, role = read(folder), arguments.role
    needed = (_of_service if role == "service" else _of_client)(contract, arguments)
    if as_json:
        emit(to_claims(needed), as_json=True, render=str)
    else:  # without wrapping, however narrow the terminal is
        head = f"# the {role} of {contract.service} {contract.version}; all else is denied"
        write(f"{head}\n{to_config(needed)}\n")


def _of_service(contract: Contract, arguments: Arguments) -> Permissions:
    used = arguments.used
    if used.operations or used.events or used.discovery:
        raise typer.BadParameter(
            "a service serves its whole contract: --operations, --events and --discovery require"
            " --role client"
        )
    if arguments.inbox_prefix is not None and not contract.stored:
        raise typer.BadParameter("a service has no inbox: --inbox-prefix requires --role client")
    return of_service(
        contract,
        queue_group=arguments.queue_group,
        max_timeout=arguments.max_timeout or 0.0,
        inbox_prefix="_INBOX" if arguments.inbox_prefix is None else arguments.inbox_prefix,
    )


def _of_client(contract: Contract, arguments: Arguments) -> Permissions:
    if arguments.max_timeout is not None:
        raise typer.BadParameter("a client sends no replies: --max-timeout requires --role service")
    used, prefix = arguments.used, arguments.inbox_prefix
    return of_client(
        contract,
        used if used.operations or used.events or used.discovery else None,
        queue_group=arguments.queue_group,
        inbox_prefix="_INBOX" if prefix is None else prefix,
    )
