"""Where a shape stands: its name, and the schema that it comes from."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Where a shape will stand.

    Attributes:
        name: The name that it gets, if it needs one.
        definition: The schema that it is part of.
        pointer: The place in that schema.
        is_whole: Whether it is a definition, which has a name.
        is_member: Whether it is the member of a class, which holds bounds without a name.
        depth: How many lists, maps and unions it is inside of.
        merges: How many combined schemas it is inside of.
    """

    name: str
    definition: str
    pointer: str = ""
    is_whole: bool = True
    is_member: bool = False
    depth: int = 0
    merges: int = 0

    def inside(self, suffix: str, *steps: str | int, is_member: bool = False) -> Place:
        """Return the place of a part.

        Args:
            suffix: What its name adds.
            steps: The way to it.
            is_member: Whether it is the member of a class.
        """
        tokens = (str(step).replace("~", "~0").replace("/", "~1") for step in steps if step != "")
        return self._replace(
            name=self.name + suffix,
            pointer="/".join((self.pointer, *tokens)),
            is_whole=False,
            is_member=is_member,
            depth=0 if is_member else self.depth + 1,
        )

    def hoisted(self, name: str) -> Place:
        """Return the place of the same shape as a definition of its own."""
        return self._replace(name=name, is_whole=True, is_member=False, depth=0)
