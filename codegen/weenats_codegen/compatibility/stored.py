"""Stored events, of aggregates and of streams: what is stored stays readable."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from weenats_codegen.compatibility.findings import Finding
from weenats_codegen.compatibility.messages import STORED
from weenats_codegen.compatibility.places import event_place
from weenats_codegen.compatibility.rules import RULES
from weenats_codegen.ir.previous import resolved
from weenats_codegen.parser.diagnostics import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.compatibility.messages import MessageSchemas
    from weenats_codegen.ir.contract import Contract, Event
    from weenats_codegen.ir.previous import EventVersion


def compare_stored(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what the new version cannot read of what the old one has stored.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    after = {aggregate.name: aggregate for aggregate in new.aggregates}
    for before in old.aggregates:
        aggregate = after.get(before.name)
        if aggregate is not None and aggregate.store != before.store:
            is_kept = "is now" if aggregate.store else "is no more"
            message = f"{before.name} {is_kept} kept in a stream; its state is not carried over"
            place, old_place = (
                Location(each.file).child("aggregates", before.name) for each in (new, old)
            )
            yield Finding(RULES["store-changed"], message, place, old_place, (before.name,))
    events = {event.name: event for event in new.events if _is_kept(event)}
    for event in old.events:
        if event.name in events and _is_kept(event):
            yield from _compare_data(event, events[event.name], (old, new), schemas)
        elif not event.is_stored:
            continue
        elif event.aggregate is not None and event.aggregate.name in after:
            message = f"the event {event.name} is gone, and stored ones cannot be read any more"
            place = event_place(old, event)
            yield Finding(RULES["stored-event-removed"], message, place, place, (event.name,))


def _is_kept(event: Event) -> bool:
    return event.is_stored or event.stream is not None


def _compare_data(
    old: Event, new: Event, contracts: tuple[Contract, Contract], schemas: MessageSchemas
) -> Iterator[Finding]:
    """Yield what the new version refuses of the data of all versions that the old one has."""
    old_contract, contract = contracts
    before, after = (
        [*(version.data for version in event.previous), event.data] for event in (old, new)
    )
    if len(after) < len(before):
        message = f"{old.name} has lost older versions of its data, which are stored"
        place = event_place(contract, new)
        yield Finding(RULES["stored-event-narrowed"], message, place, place, (old.name,))
    for was, now in zip(old.previous, new.previous, strict=False):
        if _changes(was, old_contract) != _changes(now, contract):
            message = f"stored data of {old.name}, version {was.number}, is read in another way"
            place = event_place(contract, new).child("previous", was.number - 1)
            yield Finding(RULES["stored-event-changed"], message, place, place, (old.name,))
    for number, (data, accepting) in enumerate(zip(before, after, strict=False), 1):
        is_changed = number == len(before) == len(after)
        for finding in schemas.compare_stored(STORED, data, accepting, old.name):
            hint = f"{finding.message}; name the data before the change as its `previous` version"
            yield replace(finding, message=hint) if is_changed else finding


def _changes(version: EventVersion, contract: Contract) -> tuple[object, ...]:
    """Return how the contract says that the next version of data is made."""
    members = resolved(contract.bundle, version.data).get("properties", {})
    declared = members.keys() if isinstance(members, dict) else set[str]()
    return version.renamed, declared & {*version.removed}, version.function
