# A stub: `weenats generate` replaces it until you change it. Checksum: d7481658510120da
"""A contract test of the handlers of vault: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Vault
from .operations import CLOSE, GET_BOX, MOVE, OPEN, SHAKE, WEIGH


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(OPEN, key="b-1", payload={}),
        testing.Example(CLOSE, key="b-1", payload={}),
        testing.Example(MOVE, key="b-1", payload={}),
        testing.Example(SHAKE, key="b-1", payload={}),
        testing.Example(GET_BOX, key="b-1"),
        testing.Example(WEIGH, key="b-1"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Vault(), example)
