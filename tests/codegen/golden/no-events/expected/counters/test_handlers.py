# A stub: `weenats generate` replaces it until you change it. Checksum: ea4ae5c1714c8cd8
"""A contract test of the handlers of counters: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Counters
from .operations import HISTORY, INCREASE, RESET


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(INCREASE, key="c-1", payload={"by": 1}),
        testing.Example(RESET, key="c-1", payload={}),
        testing.Example(HISTORY, key="c-1", payload={"limit": 10}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Counters(), example)
