"""Verdicts on random pairs of schemas are true: no drawn document disproves one.

Each pair is a random schema and a small edit of it. Where the verdict is that one version allows
all that the other allows, no drawn document may be allowed by the other alone; where it is that it
does not, the counterexample has to be one by jsonschema-rs. `make compatibility` draws more.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings

from testkit.json_schemas.pairs import PairTally, compare_pair, drawn_pairs

_PROFILE = settings().max_examples
_COUNT = int(os.environ.get("COUNT") or _PROFILE * 5)
"""The number of pairs: 50 in the profile `quick`, 500 in `thorough`."""
_DOCUMENTS = int(os.environ.get("DOCUMENTS") or _PROFILE * 10)
"""The number of documents for each pair: 100, or 1,000."""
_SEED = int(os.environ.get("SEED") or 0)
_PART = 100


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, _COUNT, _PART))
def test_verdicts_on_random_pairs_are_true(start: int, tmp_path: Path) -> None:
    """No document disproves a verdict, counterexamples are true, and less than 1 % is unknown."""
    tally = PairTally()
    for pair in drawn_pairs(_SEED + start, min(_PART, _COUNT - start), tmp_path):
        compare_pair(pair, _DOCUMENTS, Random(tally.pairs), tally)  # noqa: S311 - drawn again
    print(tally)  # noqa: T201 - `make compatibility` shows it
    assert not tally.wrong, "\n".join(tally.wrong)
    assert len(tally.unknown) <= max(0.01 * 2 * tally.pairs, 1), "\n".join(tally.unknown)
    assert tally.compatible
    assert tally.breaking
