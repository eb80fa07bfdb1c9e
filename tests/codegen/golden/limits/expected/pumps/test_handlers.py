# A stub: `weenats generate` replaces it until you change it. Checksum: b17becc52a56fbed
"""A contract test of the handlers of pumps: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Pumps
from .operations import GET_PUMP, PRIME, SAMPLE, START, STOP


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(START, key="p-1", payload={}),
        testing.Example(STOP, key="p-1", payload={}),
        testing.Example(PRIME, key="p-1", payload={}),
        testing.Example(GET_PUMP, key="p-1"),
        testing.Example(SAMPLE, key="p-1"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Pumps(), example)
