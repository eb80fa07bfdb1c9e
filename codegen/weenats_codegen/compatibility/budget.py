"""The cost of a comparison, in steps and not in seconds: the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_ALL_STEPS: Final = 800_000
"""What the searches in two bundles may cost together, which is far more than most do."""
_ALL_PARTS: Final = 400_000
"""How many parts the documents that are drawn for two bundles may have together."""
_SMALL_PER_STEP: Final = 4
"""How many small operations cost a step."""


class OutOfStepsError(Exception):
    """A computation needs more steps than it may take."""


class Budget:
    """A number of steps.

    Attributes:
        left: How many are left.
    """

    def __init__(self, steps: int) -> None:
        """Initialize a budget.

        Args:
            steps: The number of steps.
        """
        self.left = steps
        self._small = 0

    def spend(self, steps: int = 1) -> None:
        """Take steps.

        Args:
            steps: How many.

        Raises:
            OutOfStepsError: There are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            raise OutOfStepsError

    def spend_small(self, count: int = 1) -> None:
        """Take a step for every four operations that take much less time than a step.

        Args:
            count: The number of operations.

        Raises:
            OutOfStepsError: There are not so many steps left.
        """
        self._small += count
        if self._small >= _SMALL_PER_STEP:
            steps, self._small = divmod(self._small, _SMALL_PER_STEP)
            self.spend(steps)


@dataclass(slots=True)
class Allowance:
    """What comparisons may cost together; when it is used up, each gets a little.

    Attributes:
        steps: The steps of searches, which are counted and not timed: on every machine the same.
        parts: The parts of documents that are drawn.
    """

    steps: int = _ALL_STEPS
    parts: int = _ALL_PARTS
