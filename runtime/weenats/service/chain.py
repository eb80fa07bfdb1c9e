"""The chain of a service: its members, their order, and how it is built for an instance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, TypeVar

from weenats.contract import AnyOperation, ServiceContract
from weenats.interceptors import ServiceFeature
from weenats.telemetry import TelemetryManager
from weenats.telemetry.manager import SILENT
from weenats.transport.base import Transport

__all__ = ["Host", "Member", "Position", "add_member", "build_chain"]
OptionsT = TypeVar("OptionsT")


class Position(IntEnum):
    """Where a member stands in the chain; those of one position keep the order of their calls."""

    OUTERMOST = 0
    AS_ADDED = 1
    INNER = 2
    INNERMOST = 3


@dataclass(frozen=True, slots=True)
class Host:
    """What features may use of the running instance that they belong to.

    Attributes:
        operations: the operations of the service.
        queue_group: the queue group of the instance.
        telemetry: its telemetry.
        review: to be called when the readiness of a feature has changed.
        instance_id: the id of the instance.
        transport: its connection; None for a chain that is only described.
        contract: the contract of the service; None as well.
        streams: the streams of its aggregates.
        chain: all members of the chain, the outermost first.
        added: those of them that stand where the builder added them.
    """

    operations: Sequence[AnyOperation]
    queue_group: str = ""
    telemetry: TelemetryManager = SILENT
    review: Callable[[], None] = lambda: None
    instance_id: str = ""
    transport: Transport | None = None
    contract: ServiceContract | None = None
    streams: Sequence[str] = ()
    chain: list[ServiceFeature] = field(default_factory=list["ServiceFeature"])
    added: list[ServiceFeature] = field(default_factory=list["ServiceFeature"])


@dataclass(frozen=True, slots=True)
class Member(Generic[OptionsT]):
    """A member of the chain, as the builder keeps it.

    Attributes:
        added_by: the method of the builder that added it, or the part of the contract.
        options: what the method was called with.
        build: returns the feature of one running instance, from the options; None if it would have
            nothing to do.
        position: where it stands.
    """

    added_by: str
    options: OptionsT
    build: Callable[[OptionsT, Host], ServiceFeature | None]
    position: Position = Position.AS_ADDED


def add_member(
    members: Sequence[Member[Any]], member: Member[Any], *, replaces: str = ""
) -> tuple[Member[Any], ...]:
    """Return the members of a chain with one more, in their order.

    Args:
        members: the members so far, the outermost first.
        member: the new member.
        replaces: the method whose member it replaces, "" for none.
    """
    kept = [each for each in members if each.added_by != replaces]
    return tuple(sorted([*kept, member], key=lambda each: each.position))


def build_chain(members: Sequence[Member[Any]], host: Host) -> list[ServiceFeature]:
    """Build the members of the chain for one instance.

    Args:
        members: the members, the outermost first.
        host: the instance.

    Returns:
        The features, the outermost first.
    """
    for member in members:
        feature = member.build(member.options, host)
        if feature is None:
            continue
        host.chain.append(feature)
        if member.position is Position.AS_ADDED:
            host.added.append(feature)
    return host.chain
