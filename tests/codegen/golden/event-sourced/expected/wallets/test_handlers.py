# A stub: `weenats generate` replaces it until you change it. Checksum: b6c2fd5349191008
"""A contract test of the handlers of wallets: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Wallets
from .operations import CAN_PAY, DEPOSIT, EMPTY, WITHDRAW


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(DEPOSIT, key="w-1", payload={"cents": 1}),
        testing.Example(WITHDRAW, key="w-1", payload={"cents": 1}),
        testing.Example(EMPTY, key="w-1", payload={}),
        testing.Example(CAN_PAY, key="w-1", payload={"cents": 1}),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Wallets(), example)
