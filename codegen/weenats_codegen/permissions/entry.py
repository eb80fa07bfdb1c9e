"""One subject that a NATS user may use."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Entry:
    """A subject that a user may publish or subscribe to.

    Attributes:
        subject: The subject; if only one queue group may subscribe, a space and its name follow.
        purpose: What the subject is used for.
    """

    subject: str
    purpose: str

    def shared(self, queue_group: str | None) -> Self:
        """Return the same entry for members of a queue group only; None changes nothing."""
        return replace(self, subject=f"{self.subject} {queue_group}") if queue_group else self
