# A stub: `weenats generate` replaces it until you change it. Checksum: 119ede83b1898bac
"""A contract test of the handlers of ledger: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import Ledger
from .operations import CLOSE, DEPOSIT, IMPORT_BATCH


@pytest.mark.parametrize(
    "example",
    [
        testing.Example(DEPOSIT, key="a-1", payload={"amount": 1}),
        testing.Example(CLOSE, key="a-1", payload={}),
        testing.Example(IMPORT_BATCH, payload=[1]),
    ],
    ids=str,
)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(Ledger(), example)
