"""What a projection keeps: the interface of views in a database or elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["Checkpoint", "View"]


@dataclass(slots=True)
class Checkpoint:
    """How far a view is, before and after a transaction.

    Attributes:
        expected: the position that was stored last.
        position: the sequence of the last event whose handler has run in the transaction; it is
            complete at the end of the block.
    """

    expected: int
    position: int


class View(ABC):
    """The view of one generation of a projection: what its handlers change and queries read.

    Extend it to keep a view in a database; `KeyValueView` keeps one in a bucket of JetStream. Each
    generation needs a place of its own, such as a table with its number in the name.
    """

    @property
    def is_full(self) -> bool:
        """Whether the transaction that runs should end before the next event; by default not."""
        return False

    async def open(self) -> None:  # noqa: B027 - not every view needs it
        """Make the view ready for use, also when it was before; by default it is."""

    async def close(self) -> None:  # noqa: B027 - same
        """Release what `open` has opened."""

    @abstractmethod
    async def position(self) -> int:
        """Return the position that was stored last, 0 if there is none."""

    @abstractmethod
    def transaction(self, checkpoint: Checkpoint) -> AbstractAsyncContextManager[None]:
        """Return a block in which handlers change the view; its end stores the position with it.

        The changes and `checkpoint.position` are stored together, or, after an exception, neither
        of them. If the stored position is not `checkpoint.expected`, another instance changes the
        view too: then the end of the block must raise an exception and store nothing.

        Args:
            checkpoint: the position before and after.
        """

    @abstractmethod
    async def drop(self) -> None:
        """Remove the view with everything in it; one that is removed already is left alone."""
