# A stub: `weenats generate` replaces it until you change it. Checksum: 7dfb83805cd54013
"""A contract test of the handlers of accounts: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Accounts
from .operations import DEPOSIT


@pytest.mark.parametrize(
    "example", [testing.Example(DEPOSIT, key="a-1", payload={"cents": 1})], ids=str
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Accounts(), example)
