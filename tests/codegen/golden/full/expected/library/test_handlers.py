# A stub: `weenats generate` replaces it until you change it. Checksum: 5e17f96ab6f991db
"""A contract test of the handlers of library: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Library
from .operations import FIND, GET_BOOK, GIVE_BACK, LEND


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(LEND, key="b-1", payload={"reader": "aaaa.aaaa", "days": 14}),
        testing.Example(GIVE_BACK, key="b-1", payload={}),
        testing.Example(GET_BOOK, key="b-1"),
        testing.Example(FIND, key="b-1", payload={"text": "text", "limit": 10}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Library(), example)
