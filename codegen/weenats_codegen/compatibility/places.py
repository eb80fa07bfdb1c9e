"""The places of the members of a contract in its service.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.parser.diagnostics import Location

if TYPE_CHECKING:
    from weenats_codegen.ir.contract import Aggregate, Contract, Event, Operation


def operation_place(contract: Contract, operation: Operation) -> Location:
    """Return the place of a command or query.

    Args:
        contract: Its contract.
        operation: The command or query.
    """
    section = "commands" if operation in contract.commands else "queries"
    return _owner(contract, operation.aggregate).child(section, operation.name)


def event_place(contract: Contract, event: Event) -> Location:
    """Return the place of an event.

    Args:
        contract: Its contract.
        event: The event.
    """
    return _owner(contract, event.aggregate).child("events", event.name)


def _owner(contract: Contract, aggregate: Aggregate | None) -> Location:
    root = Location(contract.file)
    return root if aggregate is None else root.child("aggregates", aggregate.name)


def subject(contract: Contract, operation: Operation | Event) -> str:
    """Return the subject of an operation or event.

    Args:
        contract: Its contract.
        operation: The operation or event.
    """
    kind = "command" if operation in contract.commands else "query"
    if operation in contract.events:
        kind = "events"
    aggregate = operation.aggregate
    middle = "" if aggregate is None else f"{aggregate.name}."
    return f"{contract.service}.{kind}.{middle}{operation.name}"
