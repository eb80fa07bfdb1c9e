"""Settings of health checks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypedDict, cast

from weenats._internal.validation import checked_entries
from weenats.protocol.timeouts import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.protocol.timeouts import Duration

__all__ = ["JWKS", "Check", "CustomCheck", "HealthSettings"]

Check = Callable[[], bool | Awaitable[bool | None] | None]
"""A health check. True and None mean ok; any other result and any exception mean error."""

JWKS: Final = "jwks"
"""Name of the built-in check of the issuer's key set (JWKS)."""

_NAME: Final = re.compile("[a-z][a-z0-9_-]*")


class CustomCheck(TypedDict):
    """A health check of the application, for `with_health(custom_checks=...)`.

    Example:
        ```python
        from weenats import CustomCheck

        async def can_reach_store() -> bool:
            return True  # send a query to the database here

        check: CustomCheck = {"name": "store", "check": can_reach_store}
        ```

    Attributes:
        name: unique name that matches `^[a-z][a-z0-9_-]*$`.
        check: returns True or None if it passes. An async function runs in the event loop, a
            plain function in its own thread.
    """

    name: str
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSettings:
    """The arguments of `with_health`.

    Attributes:
        enabled: whether the service answers health requests.
        interval: time between two runs of the checks, converted to seconds.
        timeout: time limit of a check, converted to seconds.
        checks: the custom checks.

    Raises:
        InvalidArgumentError: a duration is not positive and finite.
        TypeError: a value has a wrong type, or a check is not callable.
        ValueError: a name is not valid, not unique, or that of the built-in check.
    """

    enabled: bool = True
    interval: Duration = 30.0
    timeout: Duration = 5.0
    checks: Sequence[CustomCheck] = ()

    def __post_init__(self) -> None:
        if type(self.enabled) is not bool:
            raise TypeError(f"enabled is True or False, not {self.enabled!r}")
        object.__setattr__(self, "interval", seconds(self.interval, "interval"))
        object.__setattr__(self, "timeout", seconds(self.timeout, "timeout"))
        object.__setattr__(self, "checks", _checked(self.checks))


def _checked(custom_checks: object) -> tuple[CustomCheck, ...]:
    entries = checked_entries(custom_checks, "custom_checks", ("name", "check"), _NAME)
    for entry in entries:
        if entry["name"] == JWKS:
            raise ValueError(f"{JWKS} is the name of the built-in check")
        if not callable(entry["check"]):
            raise TypeError(f"the check {entry['name']} is not callable")
    return tuple(cast("CustomCheck", dict(entry)) for entry in entries)
