"""Events of two versions of a contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weenats_codegen.compatibility.findings import Finding
from weenats_codegen.compatibility.messages import EVENT, MessageSchemas
from weenats_codegen.compatibility.places import event_place, subject
from weenats_codegen.compatibility.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from weenats_codegen.ir.contract import Contract, Event
    from weenats_codegen.ir.streams import Stream
    from weenats_codegen.parser.diagnostics import Location


def compare_events(old: Contract, new: Contract, schemas: MessageSchemas) -> Iterator[Finding]:
    """Yield what differs between the events of two versions.

    Args:
        old: The old version.
        new: The new version.
        schemas: Compares their schemas.
    """
    before = {event.name: event for event in old.events}
    after = {event.name: event for event in new.events}
    stored = {each.name for each in old.aggregates if each.store}
    for name, event in after.items():
        if name not in before:
            message = f"the event {name} is new; old services do not publish it"
            if event.stream is not None:
                message += "; consumers and projections of the old contract pass over it"
            if event.aggregate is not None and event.aggregate.name in stored:
                message += f"; old services cannot read a {event.aggregate.name} that has one"
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
        if len(event.previous) < len(after[name].previous):
            message = f"consumers of the old contract refuse {name}, whose data has a newer version"
            message += "; update them before the service"
            at = place.child("previous")
            yield Finding(RULES["event-version-raised"], message, at, old_place, (name,))
        yield from _compare_streams(event, after[name], place, old_place)
        yield from schemas.compare(EVENT, event.data, after[name].data, name)


def _compare_streams(
    old: Event, new: Event, place: Location, old_place: Location
) -> Iterator[Finding]:
    """Yield what differs between the streams that keep an event."""
    found: tuple[str, str] | None = None
    if old.stream is None and new.stream is not None:
        found = "event-durable", f"{new.name} is kept by the stream {new.stream.name}"
    elif old.stream is not None and new.stream is None:
        found = "event-not-durable", f"{new.name} is no more kept by a stream"
    elif old.stream is not None and new.stream is not None:
        found = _changed(new.name, old.stream, new.stream)
    if found is not None:
        yield Finding(RULES[found[0]], found[1], place, old_place, (new.name,))


def _changed(event: str, old: Stream, new: Stream) -> tuple[str, str] | None:
    """Return the rule and the message for what differs most between two streams of an event."""
    if old.name != new.name:
        return "event-stream-changed", f"{event} is kept by {new.name} and no more by {old.name}"
    if old.partitions != new.partitions:
        counts = f"{new.partitions} partitions instead of {old.partitions}"
        return "partitions-changed", f"the stream {new.name} has {counts}"
    if new.max_age is not None and (old.max_age is None or new.max_age < old.max_age):
        return "event-kept-shorter", f"the stream {new.name} removes events after a shorter time"
    settings = [
        (each.max_age, each.max_bytes, each.max_messages, each.replicas, each.storage)
        for each in (old, new)
    ]
    if settings[0] != settings[1]:
        return "stream-changed", f"the stream {new.name} has other settings"
    return None
