# A stub: `weenats generate` replaces it until you change it. Checksum: 2af611af6332f241
"""A contract test of the handlers of wallets: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Wallets
from .operations import CAN_PAY, DECIDE, DEPOSIT, EMPTY, IS_APPROVED, WITHDRAW


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(DEPOSIT, key="w-1", payload={"cents": 1}),
        testing.Example(WITHDRAW, key="w-1", payload={"cents": 1}),
        testing.Example(EMPTY, key="w-1", payload={}),
        testing.Example(
            DECIDE, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57", payload={"approved": True}
        ),
        testing.Example(CAN_PAY, key="w-1", payload={"cents": 1}),
        testing.Example(IS_APPROVED, key="4f9c1e0a-7b1d-4a55-9d0e-2f1c8b6a3e57"),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Wallets(), example)
