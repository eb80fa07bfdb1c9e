"""Settings of health checks."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypedDict, cast

from weenats._internal.validation import check_boolean, checked_entries
from weenats.protocol.timeouts import seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from weenats.protocol.timeouts import Duration

__all__ = ["JWKS", "Check", "CustomCheck", "HealthSettings", "parse_address"]

Check = Callable[[], bool | Awaitable[bool | None] | None]
"""A health check. True and None mean ok; any other result and any exception mean error."""

JWKS: Final = "jwks"
"""Name of the built-in check of the issuer's key set (JWKS)."""

_NAME: Final = re.compile("[a-z][a-z0-9_-]*")
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_MAX_PORT: Final = 65535


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
        http: the address of HTTP probes, None for none.

    Raises:
        InvalidArgumentError: a duration is not positive and finite.
        TypeError: a value has a wrong type, or a check is not callable.
        ValueError: a name is not valid, not unique, or that of the built-in check; or `http` is not
            an address.
    """

    enabled: bool = True
    interval: Duration = 30.0
    timeout: Duration = 5.0
    checks: Sequence[CustomCheck] = ()
    http: str | None = None

    def __post_init__(self) -> None:
        check_boolean("enabled", self.enabled)
        object.__setattr__(self, "interval", seconds(self.interval, "interval"))
        object.__setattr__(self, "timeout", seconds(self.timeout, "timeout"))
        object.__setattr__(self, "checks", _checked(self.checks))
        if self.http is not None:
            parse_address(self.http)

    def of_process(self, number: int) -> HealthSettings:
        """Return the settings of one of several processes, whose probes have ports in a row.

        Args:
            number: from 1; port 0, which chooses a free port, is that of all.

        Raises:
            ValueError: the last port is too small for so many processes.
        """
        host, port = parse_address(self.http) if self.http is not None else ("", 0)
        if port == 0:
            return self
        shown = f"[{host}]" if ":" in host else host
        return replace(self, http=f"{shown}:{port + number - 1}")


def _checked(custom_checks: object) -> tuple[CustomCheck, ...]:
    entries = checked_entries(custom_checks, "custom_checks", ("name", "check"), _NAME)
    for entry in entries:
        if entry["name"] == JWKS:
            raise ValueError(f"{JWKS} is the name of the built-in check")
        if not callable(entry["check"]):
            raise TypeError(f"the check {entry['name']} is not callable")
    return tuple(cast("CustomCheck", dict(entry)) for entry in entries)


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port of an address, such as "0.0.0.0:8080" or "[::]:8080".

    Args:
        address: the address.

    Raises:
        TypeError: it is not text.
        ValueError: it is not host and port.
    """
    if not isinstance(cast("object", address), str):
        raise TypeError(f"http is host and port as text, not {type(address).__name__}")
    parts = _ADDRESS.fullmatch(address)
    if parts is None or int(parts[3]) > _MAX_PORT:
        raise ValueError(f'http is host and port, such as "0.0.0.0:8080", not {address!r}')
    return parts[1] or parts[2], int(parts[3])
