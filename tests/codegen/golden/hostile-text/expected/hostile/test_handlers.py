# A stub: `weenats generate` replaces it until you change it. Checksum: d16c9479adb3158e
"""A contract test of the handlers of hostile: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Hostile
from .operations import DO, GET_HOSTILE_THING


@pytest.mark.parametrize(
    "example",
    [testing.Example(DO, key="h-1", payload={}), testing.Example(GET_HOSTILE_THING, key="h-1")],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Hostile(), example)
