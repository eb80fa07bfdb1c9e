"""What a checker finds, by its kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

_SHOWN: Final = 20


@dataclass(slots=True)
class Findings:
    """What is wrong with a run.

    Attributes:
        counts: how often each kind was found, also those that were not.
        texts: the first findings.
    """

    counts: Counter[str] = field(default_factory=Counter[str])
    texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, kinds: Iterable[str]) -> Findings:
        """Return no findings of some kinds."""
        return cls(Counter(dict.fromkeys(kinds, 0)))

    def add(self, kind: str, text: str) -> None:
        """Add a finding."""
        self.counts[kind] += 1
        if len(self.texts) < _SHOWN:
            self.texts.append(f"{kind}: {text}")

    @property
    def kinds(self) -> set[str]:
        """The kinds that were found."""
        return {kind for kind, count in self.counts.items() if count}

    def __str__(self) -> str:
        counts = ", ".join(f"{kind} {count}" for kind, count in self.counts.items())
        return "\n".join([counts, *self.texts])
