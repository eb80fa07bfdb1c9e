"""The cost of a comparison, in steps and not in seconds: the same on every machine."""

from __future__ import annotations


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
