"""What `with_health` is told, refused at once where it is wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, TypedDict

from weenats._internal.validation import checked_entries
from weenats.protocol.deadline import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.protocol.deadline import Duration
    from weenats.service.health.check_runner import Check

JWKS: Final = "jwks"
"""The built-in check of services whose issuer publishes keys."""

_NAME: Final = re.compile("[a-z][a-z0-9_-]*")


class CustomCheck(TypedDict):
    """A check of the user.

    Attributes:
        name: `^[a-z][a-z0-9_-]*$`, unique.
        check: sync ones run in a thread of their own, async ones on the loop.
    """

    name: str
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """What `with_health` was told; durations in seconds."""

    enabled: bool = True
    interval: float = 30.0
    timeout: float = 5.0
    checks: tuple[CustomCheck, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        enabled: bool,
        interval: Duration,
        timeout: Duration,
        custom_checks: Sequence[CustomCheck],
    ) -> Self:
        """Return settings that were checked.

        Raises:
            InvalidArgumentError: a duration is none.
            TypeError: a value is of another type, or a check cannot be called.
            ValueError: a name is malformed, repeated or that of the built-in check.
        """
        if type(enabled) is not bool:
            raise TypeError(f"enabled is True or False, not {enabled!r}")
        entries = checked_entries(custom_checks, "custom_checks", ("name", "check"), _NAME)
        for entry in entries:
            if entry["name"] == JWKS:
                raise ValueError(f"{JWKS} is the name of the built-in check")
            if not callable(entry["check"]):
                raise TypeError(f"the check {entry['name']} cannot be called")
        return cls(
            enabled=enabled,
            interval=seconds(interval, "interval"),
            timeout=seconds(timeout, "timeout"),
            checks=tuple(CustomCheck(name=each["name"], check=each["check"]) for each in entries),
        )
