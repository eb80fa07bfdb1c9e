"""What a NATS user may do, as entries with their purposes."""

from dataclasses import dataclass, replace
from typing import Self

from weenats.protocol import subjects
from weenats.transport.jetstream.api import PREFIX


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


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a NATS user may do; everything else is denied.

    Attributes:
        publish: The subjects that it may publish to.
        subscribe: The subjects that it may subscribe to.
        reply_within: Seconds within which it may reply to a message, once per message; None if it
            never replies.
    """

    publish: tuple[Entry, ...]
    subscribe: tuple[Entry, ...]
    reply_within: float | None = None

    def with_those(self, other: "Permissions") -> Self:
        """Return these and what only the other ones have, for one connection that needs both.

        Args:
            other: The other ones, of a user that replies to no messages.
        """
        return replace(
            self,
            publish=_united(self.publish, other.publish),
            subscribe=_united(self.subscribe, other.subscribe),
        )


def api(operation: str, target: str, purpose: str) -> Entry:
    """Return the entry of a request to the API of JetStream.

    Args:
        operation: What is requested, such as STREAM.INFO.
        target: The stream or the consumer.
        purpose: What the request is for.
    """
    return Entry(f"{PREFIX}{operation}.{target}", purpose)


def inbox(prefix: str) -> Entry:
    """Return the entry of the inbox of a user.

    Args:
        prefix: The prefix in its ConnectionOptions.

    Raises:
        SubjectError: The prefix is invalid.
    """
    checked = subjects.check_inbox_prefix(prefix)
    return Entry(f"{checked}.>", "replies, to all users with this prefix")


def _united(entries: tuple[Entry, ...], others: tuple[Entry, ...]) -> tuple[Entry, ...]:
    known = {each.subject for each in entries}
    return (*entries, *(each for each in others if each.subject not in known))
