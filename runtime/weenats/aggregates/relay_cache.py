"""The last commits of an instance, so that its relay need not decode them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from weenats.aggregates.commits import Commit

__all__ = ["RecentCommits"]
_MAX_COMMITS: Final = 512
_MAX_SIZE: Final = 16 * 1024
"""Larger commits are read again, so that those that are remembered have at most 8 MiB."""


class RecentCommits:
    """The last commits of an instance, until their events are published, also by another one.

    They are found by where and what is stored, which may arrive before its acknowledgement.
    """

    def __init__(self) -> None:
        self._commits: dict[tuple[str, bytes], Commit] = {}

    def add(self, subject: str, body: bytes, commit: Commit) -> None:
        """Remember a commit, and forget the oldest one when there are too many.

        Args:
            subject: its subject.
            body: the commit as it is stored.
            commit: the commit.
        """
        if len(body) > _MAX_SIZE:
            return
        commits = self._commits
        commits[subject, body] = commit
        if len(commits) > _MAX_COMMITS:
            del commits[next(iter(commits))]

    def take(self, subject: str, body: bytes) -> Commit | None:
        """Forget a commit and return it; None if it is unknown here.

        Args:
            subject: its subject.
            body: the commit as it is stored.
        """
        return self._commits.pop((subject, body), None)
