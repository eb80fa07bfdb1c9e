"""Semantic versions, and how they have to rise."""

from __future__ import annotations

from typing import Final, NamedTuple

from weenats_codegen.compatibility.findings import Change

_ORDER: Final = {Change.NONE: 0, Change.PATCH: 1, Change.MINOR: 2, Change.MAJOR: 3}


class Version(NamedTuple):
    """A semantic version, in the order of semver.org.

    Attributes:
        core: Major, minor and patch.
        is_release: Whether it is not a pre-release.
        pre: The identifiers of a pre-release.
    """

    core: tuple[int, int, int]
    is_release: bool
    pre: tuple[tuple[bool, int, str], ...]


def parsed(text: str) -> Version:
    """Return a version.

    Args:
        text: A valid semantic version.
    """
    core, _, pre = text.partition("+")[0].partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    identifiers = tuple(
        (False, int(part), "") if part.isdigit() else (True, 0, part)
        for part in (pre.split(".") if pre else [])
    )
    return Version((major, minor, patch), not pre, identifiers)


def raised(old: Version, new: Version) -> Change:
    """Return how much a version rises, in terms of what its users expect.

    Before 1.0.0, a minor version may break, and a patch may add. Pre-releases of one version may
    differ in everything.

    Args:
        old: The old version.
        new: The new version, which is not lower.
    """
    if new == old:
        return Change.NONE
    if new.core[0] > old.core[0] or not old.is_release:
        return Change.MAJOR
    is_initial = old.core[0] == 0
    if new.core[1] > old.core[1]:
        return Change.MAJOR if is_initial else Change.MINOR
    return Change.MINOR if is_initial else Change.PATCH


def covers(raised_by: Change, needed: Change) -> bool:
    """Return whether a version rises enough.

    Args:
        raised_by: How much it rises.
        needed: How much it has to.
    """
    return _ORDER[raised_by] >= _ORDER[needed]


def largest(changes: list[Change]) -> Change:
    """Return the largest of some changes.

    Args:
        changes: The changes.
    """
    return max(changes, key=_ORDER.__getitem__, default=Change.NONE)


def lowest_version(old: str, needed: Change) -> str:
    """Return the lowest version that is enough.

    Args:
        old: The old version.
        needed: How much it has to rise.
    """
    major, minor, patch = parsed(old).core
    if needed is Change.MAJOR and major:
        return f"{major + 1}.0.0"
    if needed is Change.MAJOR or (needed is Change.MINOR and major):
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"
