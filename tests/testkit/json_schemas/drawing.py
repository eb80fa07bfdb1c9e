"""Cases of a random comparison, drawn by Hypothesis from a seed."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from testkit.json_schemas.comparison import Case
from testkit.json_schemas.documents import documents
from testkit.json_schemas.oracle import is_schema
from testkit.json_schemas.schemas import random_schema


def drawn_cases(number: int, count: int, documents_each: int) -> list[Case]:
    """Return valid schemas with documents, which are always the same for the same arguments.

    They are all drawn before any of them is looked at, as generating one contract for many schemas
    is much faster than one for each. Hypothesis draws the source of randomness and not every
    choice: otherwise most schemas would be variations of a few, since it varies what it drew.

    Args:
        number: the seed.
        count: the number of schemas.
        documents_each: the number of documents for each schema.
    """
    cases: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count * 2,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(st.randoms(use_true_random=True))
    def draw(random: Random) -> None:
        schema = random_schema(random)
        if len(cases) < count and is_schema(schema):
            cases.append(Case(schema, tuple(documents(schema, random, documents_each))))

    draw()
    return cases
