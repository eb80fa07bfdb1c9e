"""Rate limits whose numbers do not go together."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from weenats_codegen.parser.diagnostics import joined
from weenats_codegen.parser.syntax import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue


def check_limits(contract: JsonValue) -> Iterator[Flaw]:
    """Yield bursts that are smaller than what a second lets through."""
    for section in ("commands", "queries"):
        for name, operation in _members(_members(contract).get(section)).items():
            limit = _members(_members(operation).get("rateLimit"))
            burst = _number(limit.get("burst"), math.inf)
            if burst < _number(limit.get("maxRequestsPerSecond"), 0):
                yield Flaw(
                    joined("", section, name, "rateLimit", "burst"),
                    "is less than maxRequestsPerSecond",
                    "let at least a second's requests through at once",
                )


def _members(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _number(value: object, otherwise: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(cast("float", value)) if is_number else otherwise
