"""The streams that keep durable events: what a contract says of them at several places, as one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from weenats_codegen import naming
from weenats_codegen.parser.diagnostics import Diagnostic, quoted
from weenats_codegen.parser.walk import entries, owners

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import JsonValue

    from weenats_codegen.parser.walk import Entry, Node

DEFAULT_PARTITIONS: Final = 16
"""How many partitions a stream has if its contract does not say it."""
_DURATION: Final = re.compile(r"([1-9][0-9]*)([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DEAD_LETTERS: Final = "-dead-letters"
_COMMITS: Final = "-commits"


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that keeps durable events.

    Attributes:
        name: The name.
        constant: The descriptor.
        events: The ends of the subjects of its events: `receipt.item-added`.
        partitions: How many events may be processed at a time.
        max_age: After how many seconds events are removed; None for never.
        max_bytes: The maximum size; None for none.
        max_messages: The maximum number of events; None for none.
        replicas: How many servers keep them.
        storage: `file` or `memory`.
    """

    name: str
    constant: str
    events: tuple[str, ...]
    partitions: int
    max_age: int | None
    max_bytes: int | None
    max_messages: int | None
    replicas: int
    storage: str

    @property
    def dead_letters(self) -> str:
        """The name of the stream of its dead letters."""
        return f"{self.name}{_DEAD_LETTERS}"


@dataclass(frozen=True, slots=True)
class _Place:
    """A place with settings of a stream, inside of others."""

    node: Node
    outer: _Place | None

    @property
    def settings(self) -> Node:
        return self.node.get("stream")

    @property
    def is_durable(self) -> bool:
        """Whether the events at this place are durable."""
        given = self.node.mapping.get("durable")
        if isinstance(given, bool):
            return given
        return "stream" in self.node.mapping or (self.outer is not None and self.outer.is_durable)

    def name(self, service: str) -> str:
        """Return the name of the stream at this place."""
        given = self.settings.mapping.get("name")
        if isinstance(given, str):
            return given
        return f"{service}-events" if self.outer is None else self.outer.name(service)


def streams(contract: Node) -> tuple[Stream, ...]:
    """Return the streams of a contract, in the order of their first events.

    Args:
        contract: The content of a valid service.yaml.
    """
    return tuple(_streams(contract).values())


def stream_of_events(contract: Node) -> dict[str, Stream]:
    """Return the stream of each durable event, by the name of the event.

    Args:
        contract: The content of a valid service.yaml.
    """
    found = _streams(contract)
    return {entry.name: found[name] for entry, _, name in _durable(contract)}


def check_streams(contract: Node) -> Iterator[Diagnostic]:
    """Yield settings of a stream that contradict each other, and names that clash.

    Args:
        contract: The content of service.yaml.
    """
    for node in _nodes(contract):
        if node.mapping.get("durable") is False and "stream" in node.mapping:
            yield node.diagnostic("has a stream and is not durable", "remove one", "durable")
    seen: dict[tuple[str, str], Node] = {}
    names = {name for _, _, name in _durable(contract)}
    is_stored = any("store" in owner.mapping for _, owner in owners(contract))
    for _, place, name in _durable(contract):
        if is_stored and name == f"{contract.mapping.get('service')}{_COMMITS}":
            yield place.node.diagnostic(
                f"the stream {quoted(name)} is that of the commits of the service",
                "give it another name",
                "stream",
            )
        if name.endswith(_DEAD_LETTERS) and name.removesuffix(_DEAD_LETTERS) in names:
            yield place.node.diagnostic(
                f"the stream {quoted(name)} is that of the dead letters of another one",
                "give it another name",
                "stream",
            )
        for member, setting in _given(place):
            yield from _falls_short(contract, member, setting)
            other = seen.setdefault((name, member), setting)
            if other.value != setting.value:
                yield setting.diagnostic(
                    f"the stream {quoted(name)} has another {member} at {other.location.pointer}",
                    "say it once, or the same",
                )


def _falls_short(contract: Node, member: str, setting: Node) -> Iterator[Diagnostic]:
    """Yield a setting with which the service would not start."""
    value, demanded = setting.value, _demanded(contract)
    if member == "replicas" and isinstance(value, int) and value < demanded:
        message = f"is {value}, and durability demands {demanded}"
        yield setting.diagnostic(message, f"use {demanded} or more, or demand less")
    if value == "memory" and "sync" in contract.get("durability").mapping:
        message = "is memory, and durability demands that it is on disk"
        yield setting.diagnostic(message, "use file, or remove sync")


def _nodes(contract: Node) -> Iterator[Node]:
    for _, owner in owners(contract):
        yield owner
    for entry in entries(contract, "events"):
        yield entry.node


def _streams(contract: Node) -> dict[str, Stream]:
    settings: dict[str, dict[str, JsonValue]] = {}
    events: dict[str, list[str]] = {}
    for entry, place, name in _durable(contract):
        given = {member: setting.value for member, setting in _given(place)}
        settings.setdefault(name, {}).update(given)
        suffix = f"{entry.aggregate}.{entry.name}" if entry.aggregate else entry.name
        events.setdefault(name, []).append(suffix)
    least = {"replicas": _demanded(contract)}
    return {name: _stream(name, least | found, events[name]) for name, found in settings.items()}


def _demanded(contract: Node) -> int:
    """Return how many servers have to keep what the service stores."""
    replicas = contract.get("durability").mapping.get("replicas")
    return replicas if isinstance(replicas, int) else 1


def _durable(contract: Node) -> Iterator[tuple[Entry, _Place, str]]:
    """Yield the durable events, with their places and the names of their streams."""
    service = str(contract.mapping.get("service"))
    whole = _Place(contract, None)
    places = {"": whole}
    places |= {name: _Place(node, whole) for name, node in owners(contract) if name}
    for entry in entries(contract, "events"):
        place = _Place(entry.node, places[entry.aggregate])
        if place.is_durable:
            yield entry, place, place.name(service)


def _given(place: _Place | None) -> Iterator[tuple[str, Node]]:
    """Yield the settings of a place and of those around it that are about the same stream."""
    while place is not None:
        for member, setting in place.settings.members.items():
            if member != "name":
                yield member, setting
        if "name" in place.settings.mapping:
            return
        place = place.outer


def _stream(name: str, given: Mapping[str, JsonValue], events: list[str]) -> Stream:
    return Stream(
        name=name,
        constant=naming.constant_name(f"{name}-stream"),
        events=tuple(events),
        partitions=cast("int", given.get("partitions", DEFAULT_PARTITIONS)),
        max_age=seconds_of(given.get("maxAge")),
        max_bytes=cast("int | None", given.get("maxBytes")),
        max_messages=cast("int | None", given.get("maxMessages")),
        replicas=cast("int", given.get("replicas", 1)),
        storage=cast("str", given.get("storage", "file")),
    )


def seconds_of(duration: JsonValue) -> int | None:
    """Return a duration in seconds; None also for what is not one, which the linter reports."""
    found = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    return None if found is None else int(found[1]) * _SECONDS[found[2]]
