# A stub: `weenats generate` replaces it until you change it. Checksum: 1176e828bfc1eff6
"""A contract test of the handlers of my-billing: add examples that matter to you.

Each example is what a client sends. The handlers must answer with what the contract allows: a
result that fits, or an error that the operation declares. What is not implemented is skipped.
"""

import pytest
from weenats import testing

from .handlers import MyBillingService
from .operations import GET_MY_BILLING


@pytest.mark.parametrize("example", [testing.Example(GET_MY_BILLING, key="m-1")], ids=str)
def test_example(example: testing.Example) -> None:
    """The handlers answer an example as the contract says."""
    testing.check_example(MyBillingService(), example)
