"""Events of two versions of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.compatibility.findings import Finding
from weenats_codegen.compatibility.messages import EVENT, MessageSchemas
from weenats_codegen.compatibility.places import event_place, subject
from weenats_codegen.compatibility.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.ir.contract import Contract


def compare_events(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what differs between the events of two versions.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    before = {event.name: event for event in old.events}
    after = {event.name: event for event in new.events}
    for name, event in after.items():
        if name not in before:
            message = f"the event {name} is new; old services do not publish it"
            yield Finding(RULES["event-added"], message, event_place(new, event), None, (name,))
    for name, event in before.items():
        old_place = event_place(old, event)
        if name not in after:
            was = "-deprecated" if event.deprecated else ""
            text = "it was" if was else "it was not"
            message = f"the event {name} is gone; {text} deprecated before"
            rule = RULES[f"event-removed{was}"]
            place = old_place._replace(file=new.file)
            yield Finding(rule, message, place, old_place, (name,))
            continue
        place = event_place(new, after[name])
        subjects = subject(old, event), subject(new, after[name])
        if subjects[0] != subjects[1]:
            message = f"{name} is published to {subjects[1]} and no more to {subjects[0]}"
            yield Finding(RULES["event-moved"], message, place, old_place, (name,))
        yield from schemas.compare(EVENT, event.data, after[name].data, name)
