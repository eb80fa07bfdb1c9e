"""Hypothesis settings that follow the profile of the run."""

from __future__ import annotations

from typing import Any

from hypothesis import settings


def examples(factor: float, **changes: Any) -> settings:
    """Return settings with a multiple of the profile's number of examples.

    Args:
        factor: how many times as many examples as the profile has.
        changes: further settings of Hypothesis.
    """
    count = settings().max_examples * factor
    return settings(max_examples=max(round(count), 1), **changes)
