"""What differs between the streams of a contract and those on the server, and making them equal."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast

from weenats.errors import FailedPreconditionError, connection_error
from weenats.streams.settings import PARTITIONS, SERVICE, dead_letter_config, stream_config
from weenats.transport.jetstream import (
    JetStream,
    Republish,
    StreamConfig,
    StreamInfo,
    StreamMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from weenats.contract import Stream
    from weenats.transport.base import Transport

__all__ = ["Change", "StreamPlan", "apply_streams", "check_streams", "plan_streams"]
NumberT = TypeVar("NumberT", int, float)
_SETTINGS: Final = (
    "subjects",
    "storage",
    "replicas",
    "retention",
    "discard",
    "max_age",
    "max_bytes",
    "max_messages",
    "republish",
    "allow_direct",
)
"""What the contract decides; other settings stay as an operator has set them."""
_LIMITS: Final = frozenset({"max_age", "max_bytes", "max_messages"})
_RECREATED: Final = frozenset({"storage", "retention"})
"""What the server changes only by deleting the stream."""
_REMOVES: Final = "may remove stored events"
_MOVED: Final = "keys move to other partitions: consumers must have processed all stored events"
_DUPLICATE_WINDOW: Final = 120.0
"""How many seconds a stream remembers the ids of messages unless an operator or `max_age` says
otherwise."""


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that differs.

    Attributes:
        setting: the name of the setting.
        before: its value on the server, as text.
        after: its value in the contract, as text.
        danger: what is lost by it, "" for nothing.
    """

    setting: str
    before: str
    after: str
    danger: str = ""

    def __str__(self) -> str:
        danger = f" ({self.danger})" if self.danger else ""
        return f"{self.setting}: {self.before} -> {self.after}{danger}"


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What has to be done to a stream.

    Attributes:
        name: the name of the stream.
        action: what has to be done.
        changes: the settings that differ.
        config: the settings that it gets.
        kept: the settings that differ and stay, as the stream has more than the contract demands.
    """

    name: str
    action: Literal["create", "update", "recreate", "none"]
    changes: tuple[Change, ...]
    config: StreamConfig
    kept: tuple[Change, ...] = ()

    @property
    def dangers(self) -> tuple[Change, ...]:
        """The changes by which something is lost."""
        return tuple(each for each in self.changes if each.danger)

    def __str__(self) -> str:
        changes = "; ".join(map(str, self.changes))
        return f"{self.name}: {self.action}{': ' if changes else ''}{changes}"


async def plan_streams(
    transport: Transport,
    streams: Iterable[Stream],
    others: Iterable[StreamConfig] = (),
    *,
    keep_more: bool = False,
) -> list[StreamPlan]:
    """Return what has to be done to streams and those of their dead letters; nothing is changed.

    Args:
        transport: the connection.
        streams: the streams of a contract.
        others: the settings of other streams, with their service in the metadata.
        keep_more: whether streams keep what they have more of than the contract demands: subjects,
            higher limits and replicas of another version of the service, and files.

    Raises:
        JetStreamUnavailableError: the server has no JetStream.
        ServiceError: see Transport.request.
    """
    jetstream = JetStream(transport)
    wanted = [
        config for each in streams for config in (stream_config(each), dead_letter_config(each))
    ]
    wanted += others
    return [
        _planned(config, await _found(jetstream, config.name), keep_more=keep_more)
        for config in wanted
    ]


async def apply_streams(
    transport: Transport, plans: Sequence[StreamPlan], *, force: bool = False
) -> None:
    """Create and update streams.

    Args:
        transport: the connection.
        plans: what has to be done.
        force: whether stored events may be lost.

    Raises:
        FailedPreconditionError: something would be lost; then nothing is changed at all.
        JetStreamRefusedError: the server cannot have such a stream.
        ServiceError: see Transport.request.
    """
    dangerous = [each for each in plans if each.dangers]
    if dangerous and not force:
        raise connection_error(
            FailedPreconditionError,
            f"{'; '.join(map(str, dangerous))}: apply it with --force if that is intended",
        )
    jetstream = JetStream(transport)
    for plan in plans:
        if plan.action == "recreate":
            await jetstream.delete_stream(plan.name)
        if plan.action in {"create", "recreate"}:
            await jetstream.create_stream(plan.config)
        elif plan.action == "update":
            await jetstream.update_stream(plan.config)


def check_streams(plans: Iterable[StreamPlan], service: str) -> None:
    """Check that nothing has to be done.

    Args:
        plans: what has to be done.
        service: the name of the service.

    Raises:
        FailedPreconditionError: a stream is missing or has other settings.
    """
    different = [each for each in plans if each.action != "none"]
    if different:
        raise connection_error(
            FailedPreconditionError,
            f"the streams of {service} are not as its contract says:"
            f" {'; '.join(map(str, different))}; run `weenats streams apply CONTRACT`",
        )


async def _found(jetstream: JetStream, name: str) -> StreamInfo | None:
    try:
        return await jetstream.stream_info(name)
    except StreamMissingError:
        return None


def _planned(demanded: StreamConfig, found: StreamInfo | None, *, keep_more: bool) -> StreamPlan:
    if found is None:
        return StreamPlan(demanded.name, "create", (), demanded)
    wanted = _with_more(demanded, found.config) if keep_more else demanded
    kept = tuple(_kept(demanded, wanted))
    changes = tuple(_changes(wanted, found))
    if not changes:
        return StreamPlan(wanted.name, "none", (), found.config, kept)
    if any(each.setting in _RECREATED for each in changes):
        return StreamPlan(wanted.name, "recreate", changes, wanted, kept)
    values = {setting: getattr(wanted, setting) for setting in _SETTINGS}
    metadata = {**found.config.metadata, **wanted.metadata}
    obstacles = found.config.obstacles
    other = {name: value for name, value in found.config.other.items() if name not in obstacles}
    window = found.config.duplicate_window or 0.0
    longer = window > _DUPLICATE_WINDOW and (wanted.max_age is None or window <= wanted.max_age)
    config = replace(
        found.config,
        **values,
        duplicate_window=window if longer else None,  # else the server chooses it, by `max_age`
        metadata=metadata,
        other=other,
    )
    return StreamPlan(wanted.name, "update", changes, config, kept)


def _with_more(demanded: StreamConfig, has: StreamConfig) -> StreamConfig:
    """Return settings that are enough for a contract, and take nothing away from a stream."""
    return replace(
        demanded,
        subjects=tuple(dict.fromkeys((*demanded.subjects, *has.subjects))),
        storage="file" if has.storage == "file" else demanded.storage,
        replicas=max(demanded.replicas, has.replicas),
        max_age=_higher(demanded.max_age, has.max_age),
        max_bytes=_higher(demanded.max_bytes, has.max_bytes),
        max_messages=_higher(demanded.max_messages, has.max_messages),
    )


def _higher(one: NumberT | None, other: NumberT | None) -> NumberT | None:
    """Return the higher one of two limits, None if one of them is no limit."""
    return None if one is None or other is None else max(one, other)


def _kept(demanded: StreamConfig, wanted: StreamConfig) -> Iterator[Change]:
    for setting in _SETTINGS:
        has, demands = _value(wanted, setting), _value(demanded, setting)
        if setting == "subjects":
            has, demands = sorted({*wanted.subjects} - {*demanded.subjects}), list[str]()
        if has != demands:
            yield Change(setting, _text(has), _text(demands))


def _changes(wanted: StreamConfig, found: StreamInfo) -> Iterator[Change]:
    has = found.config
    if has.metadata.get(SERVICE) != wanted.metadata[SERVICE]:
        owner = has.metadata.get(SERVICE, "nothing of weenats")
        danger = "the stream was made for something else"
        yield Change("service", owner, wanted.metadata[SERVICE], danger)
    partitions = has.metadata.get(PARTITIONS), wanted.metadata.get(PARTITIONS)
    if partitions[0] != partitions[1]:
        danger = "" if partitions[0] is None or not found.messages else _MOVED
        yield Change("partitions", str(partitions[0]), str(partitions[1]), danger)
    for setting, value in has.obstacles.items():
        yield Change(setting, json.dumps(value), "none")
    for setting in _SETTINGS:
        before, after = _value(has, setting), _value(wanted, setting)
        if before != after:
            yield Change(setting, _text(before), _text(after), _danger(setting, before, after))


def _value(config: StreamConfig, setting: str) -> object:
    return sorted(config.subjects) if setting == "subjects" else getattr(config, setting)


def _danger(setting: str, before: object, after: object) -> str:
    if setting in _RECREATED:
        return "the stream is deleted, with all its events"
    if setting in _LIMITS and isinstance(after, int | float):
        is_lower = not isinstance(before, int | float) or after < before
        return _REMOVES if is_lower else ""
    return ""


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(cast("list[str]", value)) or "none"
    if isinstance(value, Republish):
        return f"{value.source} to {value.destination}"
    return "none" if value is None else str(value)
